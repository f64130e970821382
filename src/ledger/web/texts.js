/**
 * <loyalty-balance>: what a member of a loyalty program has, live, on a shop's page.
 *
 *   <script type="module" src="https://ledger.example/web/v1/loyalty-balance.js"></script>
 *   <loyalty-balance program="bean-street" member="m-1"></loyalty-balance>
 *
 * It asks the ledger in the name of the member, with a token that the page sets as its property
 * `token`; when the ledger does not take the token any more, `loyalty-token-expired` is fired and
 * the page sets another one. docs/integrating-a-shop.md tells the rest.
 *
 * It needs no other file, evaluates nothing and sets no inline style, so that it runs under a strict
 * Content-Security-Policy. It needs a browser of mid-2024 or later (light-dark()).
 */

// The texts in the languages that are built in.

/** Texts by language. Those with a number have one form for each plural category. */
const TEXTS = {
  en: {
    label: "Loyalty points",
    loading: "Loading your points …",
    unit: { one: "point", other: "points" },
    worth: "worth {value}",
    expiring: { one: "{n} point to use by {date}", other: "{n} points to use by {date}" },
    inactivity: "Your points are kept if you buy something by {date}",
    schedule: "All dates",
    scheduled: { one: "{n} point by {date}", other: "{n} points by {date}" },
    unlimited: { one: "{n} point without a date", other: "{n} points without a date" },
    pending: { one: "{n} point on the way", other: "{n} points on the way" },
    pendingFrom: {
      one: "{n} point on the way, to use from {date}",
      other: "{n} points on the way, to use from {date}",
    },
    held: { one: "{n} point reserved", other: "{n} points reserved" },
    debt: {
      one: "{n} point owed: the next one you earn pays it",
      other: "{n} points owed: the next ones you earn pay them",
    },
    visits: { one: "{n} more visit", other: "{n} more visits" },
    visitsFrom: { one: "{n} visit", other: "{n} visits" },
    spend: "{amount} more",
    spendFrom: "{amount}",
    either: "{visits} or {spend}",
    both: "{visits} and {spend}",
    reach: "{missing} to reach {tier}",
    reachBy: "{missing} by {date} to reach {tier}",
    keepBy: "{missing} by {date} to keep {tier}",
    keepFrom: "{missing} from {from} to {date} to keep {tier}",
    until: "{tier} until {date}",
    progress: "Progress to {tier}",
    level: "Level {tier}",
    visitsOf: "{have} of {need} visits",
    spendOf: "{have} of {need}",
    changed: { one: "You now have {n} point.", other: "You now have {n} points." },
    nowOwed: { one: "You now owe {n} point.", other: "You now owe {n} points." },
    newTier: "You are now {tier}.",
    offline: "No connection. You had this at {time}.",
    unreachable: "Your points can not be reached right now.",
    online: "Connected again.",
    retry: "Try again",
    expired: "Please sign in to see your points.",
    unknown: "You have no points yet.",
    failed: "Your points can not be shown.",
  },
  de: {
    label: "Treuepunkte",
    loading: "Ihre Punkte werden geladen …",
    unit: { one: "Punkt", other: "Punkte" },
    worth: "im Wert von {value}",
    expiring: { one: "{n} Punkt bis {date} einlösen", other: "{n} Punkte bis {date} einlösen" },
    inactivity: "Mit einem Einkauf bis {date} bleiben Ihre Punkte erhalten",
    schedule: "Alle Termine",
    scheduled: { one: "{n} Punkt bis {date}", other: "{n} Punkte bis {date}" },
    unlimited: { one: "{n} Punkt ohne Frist", other: "{n} Punkte ohne Frist" },
    pending: { one: "{n} Punkt unterwegs", other: "{n} Punkte unterwegs" },
    pendingFrom: {
      one: "{n} Punkt unterwegs, einlösbar ab {date}",
      other: "{n} Punkte unterwegs, einlösbar ab {date}",
    },
    held: { one: "{n} Punkt reserviert", other: "{n} Punkte reserviert" },
    debt: {
      one: "{n} Punkt im Minus: Ihr nächster Punkt gleicht ihn aus",
      other: "{n} Punkte im Minus: Ihre nächsten Punkte gleichen sie aus",
    },
    visits: { one: "Noch {n} Besuch", other: "Noch {n} Besuche" },
    visitsFrom: { one: "{n} Besuch", other: "{n} Besuche" },
    spend: "noch {amount}",
    spendFrom: "{amount}",
    either: "{visits} oder {spend}",
    both: "{visits} und {spend}",
    reach: "{missing} bis {tier}",
    reachBy: "{missing} bis {date}, um {tier} zu erreichen",
    keepBy: "{missing} bis {date}, um {tier} zu behalten",
    keepFrom: "{missing} vom {from} bis {date}, um {tier} zu behalten",
    until: "{tier} bis {date}",
    progress: "Fortschritt bis {tier}",
    level: "Stufe {tier}",
    visitsOf: "{have} von {need} Besuchen",
    spendOf: "{have} von {need}",
    changed: { one: "Sie haben jetzt {n} Punkt.", other: "Sie haben jetzt {n} Punkte." },
    nowOwed: {
      one: "Sie sind jetzt {n} Punkt im Minus.",
      other: "Sie sind jetzt {n} Punkte im Minus.",
    },
    newTier: "Ihre Stufe ist jetzt {tier}.",
    offline: "Keine Verbindung. Stand: {time}.",
    unreachable: "Ihre Punkte sind gerade nicht erreichbar.",
    online: "Wieder verbunden.",
    retry: "Erneut versuchen",
    expired: "Bitte melden Sie sich an, um Ihre Punkte zu sehen.",
    unknown: "Sie haben noch keine Punkte.",
    failed: "Ihre Punkte können nicht angezeigt werden.",
  },
};
