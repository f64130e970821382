// The parts of the element's shadow tree, and how they show what is known.

function make(name, attributes = {}, ...children) {
  const svg = name === "svg" || name === "circle";
  const made = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const count = (text) => BigInt(text ?? 0);
const amount = (money) => Number(money?.units ?? 0) + (money?.nanos ?? 0) / 1e9;

/** The parts of the element's shadow tree, and how they show a state. */
class View {
  constructor(root, onRetry) {
    root.adoptedStyleSheets = [sheet];
    const line = (name, classes = "") =>
      (this[name] = make("p", { part: name, class: `${name} ${classes}` }));
    const circle = { cx: 50, cy: 50, r: 44, pathLength: 100 };
    this.arc = make("circle", { ...circle, class: "arc", part: "arc" });
    this.inside = make("div", { class: "inside", part: "inside", "aria-hidden": "true" });
    const track = make("circle", { ...circle, class: "track", part: "track" });
    const svg = make("svg", { viewBox: "0 0 100 100", "aria-hidden": "true" }, track, this.arc);
    const range = { role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 };
    this.ring = make("div", { class: "ring", part: "ring", ...range }, svg, this.inside);
    this.number = make("span", { class: "number", part: "number" });
    this.unit = make("span", { class: "unit", part: "unit" });
    this.summary = make("summary", { part: "summary" });
    this.dates = make("ul", { part: "dates", role: "list" });
    this.schedule = make("details", { part: "schedule" }, this.summary, this.dates);
    this.body = make("div", { class: "body" }, line("tier"));
    this.points = make("p", { class: "points", part: "points" }, this.number, " ", this.unit);
    this.body.append(
      this.points,
      line("value"),
      line("debt", "small"),
      line("expiry", "small"),
      line("pending", "small muted"),
      line("held", "small muted"),
      line("reach", "small"),
      line("keep", "small muted"),
      this.schedule,
    );
    this.said = make("span");
    this.retry = make("button", { type: "button", part: "retry" });
    this.retry.addEventListener("click", onRetry);
    this.note = make("div", { class: "note", part: "note" }, this.said, this.retry);
    this.spoken = make("p", { class: "spoken", role: "status" });
    const card = { class: "card", part: "card", role: "group", tabindex: -1 };
    this.card = make("div", card, this.ring, this.body, this.note);
    root.replaceChildren(this.card, this.spoken);
  }

  /** Shows `model`: state, balance, tier, schedule (absent if never read), time (of the balance). */
  show(model, words) {
    const { state, balance, tier, schedule } = model;
    this.card.lang = this.spoken.lang = words.textLanguage;
    this.card.dir = words.direction;
    this.card.setAttribute("aria-label", words.say("label"));
    this.card.setAttribute("aria-busy", String(state === "loading"));
    this.body.hidden = !balance;
    this.ring.hidden = !balance || !tier?.tierId;
    if (balance) this.#showPoints(balance, schedule ?? {}, words);
    if (balance) this.#showTier(tier ?? {}, Date.parse(balance.asOfTime), words);
    this.#showNote(model, words);
  }

  /** Tells those who do not see it, and marks the number for those who do. */
  announce(text) {
    this.spoken.textContent = text;
    clearTimeout(this.silent);
    this.silent = setTimeout(() => (this.spoken.textContent = ""), 10_000);
  }

  pulse() {
    this.number.classList.remove("changed");
    void this.number.offsetWidth; // so that the animation starts anew
    this.number.classList.add("changed");
  }

  #line(part, text) {
    this[part].textContent = text || "";
    this[part].hidden = !text;
  }

  #showPoints(balance, schedule, words) {
    const points = count(balance.availablePoints);
    const debt = count(balance.debtPoints);
    this.number.textContent = words.number(points);
    this.unit.textContent = words.say("unit", {}, points);
    const worth = balance.value && points > 0n;
    this.#line("value", worth && words.say("worth", { value: words.money(balance.value) }));
    this.#line("debt", debt > 0n && words.say("debt", {}, debt));
    this.#line("expiry", expiryText(balance, schedule, words));
    this.#line("pending", pendingText(balance, schedule, words));
    const held = count(balance.heldPoints);
    this.#line("held", held > 0n && words.say("held", {}, held));
    this.#showSchedule(schedule, words);
  }

  #showSchedule(schedule, words) {
    const texts = (schedule.items ?? [])
      .filter((item) => item.state === "LOT_STATE_AVAILABLE")
      .map((item) =>
        words.say("scheduled", { date: words.lastDay(item.expireTime) }, count(item.points)),
      );
    const unlimited = count(schedule.neverExpiringPoints);
    if (unlimited > 0n) texts.push(words.say("unlimited", {}, unlimited));
    this.summary.textContent = words.say("schedule");
    this.dates.replaceChildren(...texts.map((text) => make("li", {}, text)));
    this.schedule.hidden = texts.length < 2;
  }

  #showTier(tier, now, words) {
    const { tierId, name, next, keep, validUntilTime } = tier;
    this.#line("tier", tierId && (name || tierId));
    this.#line("reach", next && reachText(next, words));
    const until = validUntilTime && { tier: name, date: words.lastDay(validUntilTime) };
    const kept = keep?.byTime ? keepText(keep, now, words) : until && words.say("until", until);
    this.#line("keep", tierId && kept);
    if (!tierId) return;
    const { fraction, text, short } = progress(tier, words);
    const label = next
      ? words.say("progress", { tier: next.name })
      : words.say("level", { tier: name });
    const percent = Math.floor(fraction * 100);
    this.ring.setAttribute("aria-label", label);
    this.ring.setAttribute("aria-valuenow", percent);
    this.ring.setAttribute("aria-valuetext", text);
    this.inside.textContent = short;
    this.inside.classList.toggle("complete", !next);
    this.arc.setAttribute("stroke-dasharray", `${percent} 100`);
    this.arc.setAttribute("visibility", percent ? "visible" : "hidden"); // a round cap is a dot
  }

  #showNote({ state, balance, time }, words) {
    const text = {
      loading: !balance && words.say("loading"),
      offline: balance
        ? words.say("offline", { time: words.time(time) })
        : words.say("unreachable"),
      expired: words.say("expired"),
      unknown: words.say("unknown"),
      failed: words.say("failed"),
    }[state];
    const retries = state === "offline" || state === "expired";
    // Whoever pressed the button finds the keyboard's focus where it was.
    if (!retries && this.retry.matches(":focus")) this.card.focus({ preventScroll: true });
    this.note.hidden = !text;
    this.note.classList.toggle("plain", state === "loading" || state === "unknown");
    this.said.textContent = text || "";
    this.retry.textContent = words.say("retry");
    this.retry.hidden = !retries;
  }
}

/** What goes first: the soonest lot, or everything for want of a purchase. */
function expiryText({ nextExpiry }, { inactivityExpireTime, inactivityPoints }, words) {
  const isIdling = inactivityExpireTime && count(inactivityPoints) > 0n;
  const idle = isIdling ? Date.parse(inactivityExpireTime) : Infinity;
  const lot = nextExpiry ? Date.parse(nextExpiry.expireTime) : Infinity;
  if (lot === Infinity && idle === Infinity) return "";
  if (idle < lot) return words.say("inactivity", { date: words.lastDay(inactivityExpireTime) });
  const date = words.lastDay(nextExpiry.expireTime);
  return words.say("expiring", { date }, count(nextExpiry.points));
}

function pendingText({ pendingPoints }, { items = [] }, words) {
  const points = count(pendingPoints);
  if (points === 0n) return "";
  const coming = items.filter((item) => item.state === "LOT_STATE_PENDING");
  const [time, ...others] = new Set(coming.map((item) => item.activateTime));
  const all = coming.reduce((sum, item) => sum + count(item.points), 0n) === points;
  if (!time || others.length || !all) return words.say("pending", {}, points);
  return words.say("pendingFrom", { date: words.date(time) }, points);
}

function reachText(next, words) {
  const values = missing(next, words);
  if (!next.byTime) return words.say("reach", values);
  return words.say("reachBy", { ...values, date: words.lastDay(next.byTime) });
}

function keepText(keep, now, words) {
  const isAhead = Date.parse(keep.fromTime) > now;
  const values = {
    ...missing(keep, words, isAhead ? "From" : ""),
    date: words.lastDay(keep.byTime),
  };
  if (!isAhead) return words.say("keepBy", values);
  return words.say("keepFrom", { ...values, from: words.date(keep.fromTime) });
}

/** What is missing for a level, in words of that kind, and its name. */
function missing({ tierId, name, visitsMissing = 0, spendMissing, either }, words, kind = "") {
  const visits = visitsMissing > 0 && words.say(`visits${kind}`, {}, count(visitsMissing));
  const money = amount(spendMissing) > 0 && words.money(spendMissing);
  const spend = money && words.say(`spend${kind}`, { amount: money });
  const both = visits && spend && words.say(either ? "either" : "both", { visits, spend });
  return { missing: both || visits || spend, tier: name || tierId };
}

/** How far it is to the next level: a fraction, and the count it stands for in words. */
function progress({ tierId, name, visits = 0, spend, next }, words) {
  const ways = [];
  if (next?.visitsMissing) {
    const need = visits + next.visitsMissing;
    const [have, of] = [words.number(visits), words.number(need)];
    const text = words.say("visitsOf", { have, need: of });
    ways.push({ fraction: visits / need, text, short: `${have}/${of}` });
  }
  if (amount(next?.spendMissing) > 0) {
    const need = amount(spend) + amount(next.spendMissing);
    const currencyCode = next.spendMissing.currencyCode;
    const money = (number) =>
      words.money({
        currencyCode,
        units: Math.trunc(number),
        nanos: Math.round((number % 1) * 1e9),
      });
    const fraction = amount(spend) / need;
    const short = new Intl.NumberFormat(words.language, { style: "percent" }).format(
      Math.floor(fraction * 100) / 100,
    );
    ways.push({
      fraction,
      text: words.say("spendOf", { have: money(amount(spend)), need: money(need) }),
      short,
    });
  }
  if (!ways.length) return { fraction: 1, text: name || tierId, short: "★" };
  // One of two ways is enough, or the slower one decides.
  const nearer = next.either ? 1 : -1;
  return ways.reduce((a, b) => ((b.fraction - a.fraction) * nearer > 0 ? b : a));
}
