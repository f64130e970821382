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

/**
 * Texts by language. Those with a number may have a form for each plural category, or say {points},
 * which has them.
 */
const TEXTS = {
  en: {
    label: "Loyalty points",
    loading: "Loading your points …",
    unit: { one: "point", other: "points" },
    worth: "worth {value}",
    points: { one: "{n} point", other: "{n} points" },
    expiring: "{points} to use by {date}",
    inactivity: "Your points are kept if you buy something by {date}",
    schedule: "All dates",
    scheduled: "{points} by {date}",
    unlimited: "{points} without a date",
    pending: "{points} on the way",
    pendingFrom: "{points} on the way, to use from {date}",
    held: "{points} reserved",
    debt: {
      one: "{points} owed: the next one you earn pays it",
      other: "{points} owed: the next ones you earn pay them",
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
    changed: "You now have {points}.",
    nowOwed: "You now owe {points}.",
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
    points: { one: "{n} Punkt", other: "{n} Punkte" },
    expiring: "{points} bis {date} einlösen",
    inactivity: "Mit einem Einkauf bis {date} bleiben Ihre Punkte erhalten",
    schedule: "Alle Termine",
    scheduled: "{points} bis {date}",
    unlimited: "{points} ohne Frist",
    pending: "{points} unterwegs",
    pendingFrom: "{points} unterwegs, einlösbar ab {date}",
    held: "{points} reserviert",
    debt: {
      one: "{points} im Minus: Ihr nächster Punkt gleicht ihn aus",
      other: "{points} im Minus: Ihre nächsten Punkte gleichen sie aus",
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
    changed: "Sie haben jetzt {points}.",
    nowOwed: "Sie sind jetzt {points} im Minus.",
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
