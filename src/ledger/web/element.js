// The element: what a page sets, what it is told, and what happens in between.

/** How long a page may take to bring a token before the customer is told. */
const PATIENCE_MS = 5_000;
const PROPERTIES = {
  baseUrl: "base-url",
  program: "program",
  member: "member",
  timeZone: "time-zone",
};

/** The elements on the page. */
const present = new Set();
new MutationObserver(() => present.forEach((element) => element.render())).observe(
  document.documentElement,
  { attributes: true, attributeFilter: ["lang"] },
);

/**
 * Attributes (and properties): base-url (baseUrl; default: where this script came from), program,
 * member, time-zone (timeZone; in which dates are shown, default: the browser's), lang. Property or
 * attribute: token; the property is not reflected. `state` is loading, ready, offline, expired,
 * unknown or failed, and is reflected.
 *
 * Events: loyalty-token-expired; loyalty-balance-changed with detail.balance; loyalty-error with
 * detail.code and detail.message. They bubble.
 */
export class LoyaltyBalance extends HTMLElement {
  static observedAttributes = [...Object.values(PROPERTIES), "token", "lang"];

  /** Sets texts of a language, all or some (the others stay), for every element of the page. */
  static addTexts(language, texts) {
    const unknown = Object.keys(texts).filter((key) => !Object.hasOwn(TEXTS.en, key));
    if (unknown.length) {
      const known = Object.keys(TEXTS.en).join(", ");
      throw new RangeError(`no such text: ${unknown.join(", ")}. There are: ${known}`);
    }
    for (const [key, text] of Object.entries(texts)) {
      if (typeof text !== "string" && typeof text?.other !== "string") {
        throw new TypeError(`${key} must be a text, or an object with other, one, few …`);
      }
    }
    const [tag] = Intl.getCanonicalLocales(language);
    TEXTS[tag] = { ...TEXTS[tag], ...texts };
    present.forEach((element) => element.render());
  }

  #root = this.attachShadow({ mode: "open" });
  #view = this.#blank();
  #model = { state: "loading" };
  #token = "";
  #subject = "";
  #stop = new AbortController();
  #restarting = false;
  #renewals = 0;

  constructor() {
    super();
    // What a page has set before this script was there.
    for (const name of [...Object.keys(PROPERTIES), "token"]) {
      if (Object.hasOwn(this, name)) {
        const value = this[name];
        delete this[name];
        this[name] = value;
      }
    }
  }

  get state() {
    return this.#model.state;
  }

  get token() {
    return this.#token;
  }

  set token(value) {
    this.#token = String(value ?? "").trim();
    this.#restartSoon();
  }

  connectedCallback() {
    present.add(this);
    document.addEventListener("visibilitychange", this.#restart);
    // Who has lost the network is told at once: a stream would notice late.
    for (const change of ["online", "offline"]) window.addEventListener(change, this.#restart);
    this.render();
    this.#restartSoon();
  }

  disconnectedCallback() {
    present.delete(this);
    document.removeEventListener("visibilitychange", this.#restart);
    for (const change of ["online", "offline"]) window.removeEventListener(change, this.#restart);
    this.#stop.abort();
  }

  attributeChangedCallback(name, before, value) {
    if (before === value) return;
    if (name === "lang" || name === "time-zone") this.render();
    else if (name === "token") this.token = value;
    else this.#restartSoon();
  }

  /** Shows what is known in the language of the page. */
  render() {
    if (!this.isConnected) return;
    this.#view.show(this.#model, this.#words());
    if (this.getAttribute("state") !== this.#model.state)
      this.setAttribute("state", this.#model.state);
  }

  /** Once, whatever else the page sets in the same breath. */
  #restartSoon() {
    if (this.#restarting) return;
    this.#restarting = true;
    queueMicrotask(this.#restart);
  }

  #restart = () => {
    this.#restarting = false;
    this.#stop.abort();
    // A hidden page does without: browsers give a server few connections for all of their pages.
    if (!this.isConnected || document.hidden) return;
    const { signal } = (this.#stop = new AbortController());
    const { program, member } = this;
    const base = this.#base();
    const subject = JSON.stringify([base, program, member]);
    if (subject !== this.#subject) this.#forget();
    this.#subject = subject;
    if (base === null) {
      this.#trouble(new CallError("invalid_argument", `${this.baseUrl} is no address of a ledger`));
    } else if (program && member && this.#token) {
      follow(new Ledger(base, this.#token), { programId: program, memberId: member }, signal, {
        heard: () => (this.#model.time = Date.now()),
        balance: (balance) => this.#takeBalance(balance),
        details: (tier, schedule) => this.#takeDetails(tier, schedule),
        trouble: (error) => this.#trouble(error, signal),
      });
    } else {
      this.#awaitToken(signal);
    }
    this.render();
  };

  #blank() {
    return new View(this.#root, () => this.#retry());
  }

  /** Leaves nothing of a member on the page, not even where nobody sees it. */
  #forget() {
    this.#model = { state: "loading" };
    this.#view = this.#blank();
  }

  #retry() {
    this.#restart();
    if (!this.#token) this.#fire("loyalty-token-expired", {});
  }

  /** Whether it is another one than before. */
  #takeBalance(balance) {
    const { balance: before, state } = this.#model;
    this.#renewals = 0;
    Object.assign(this.#model, { state: "ready", balance, time: Date.now() });
    this.render();
    if (state === "offline" && before) this.#announce("online");
    const told = ({ asOfTime, ...rest }) => JSON.stringify(rest);
    if (before && told(before) === told(balance)) return false;
    if (before) this.#tellChange(before, balance);
    this.#fire("loyalty-balance-changed", { balance });
    return true;
  }

  #tellChange(before, after) {
    const [points, debt] = [count(after.availablePoints), count(after.debtPoints)];
    if (points !== count(before.availablePoints)) {
      this.#view.pulse();
      this.#announce("changed", {}, points);
    } else if (debt !== count(before.debtPoints)) {
      this.#announce(debt ? "nowOwed" : "changed", {}, debt || points);
    }
  }

  #takeDetails(tier, schedule) {
    const before = this.#model.tier;
    Object.assign(this.#model, { tier, schedule });
    this.render();
    if (before?.tierId && tier.tierId && before.tierId !== tier.tierId) {
      this.#announce("newTier", { tier: tier.name });
    }
  }

  #trouble(error, signal) {
    const states = {
      unauthenticated: this.state,
      not_found: "unknown",
      permission_denied: "failed",
      invalid_argument: "failed",
    };
    const code = error instanceof CallError ? error.code : "internal";
    const state = states[code] ?? "offline";
    const news = state !== this.state;
    const isWithheld = state === "unknown" || state === "failed"; // from whoever has this token
    if (isWithheld && this.#model.balance) this.#forget();
    this.#model.state = state;
    this.render();
    if (code === "unauthenticated") {
      this.#renew(signal);
    } else if (news) {
      console.warn(`<loyalty-balance>: ${code}: ${error.message}`);
      this.#fire("loyalty-error", { code, message: error.message });
      if (state === "offline") this.#announce("offline");
    }
  }

  /** Has the page bring a new token; one that goes on being refused is asked for ever more rarely. */
  async #renew(signal) {
    if (this.#renewals > 0) await wait(backOff(this.#renewals), signal);
    if (signal.aborted) return;
    this.#renewals += 1;
    this.#fire("loyalty-token-expired", {});
    await this.#awaitToken(signal);
  }

  /** Gives the page some time to set what is missing. */
  async #awaitToken(signal) {
    await wait(PATIENCE_MS, signal);
    if (signal.aborted) return;
    this.#model.state = "expired";
    this.render();
    this.#announce("expired");
  }

  #announce(key, values = {}, n = 0n) {
    const words = this.#words();
    const missingBalance = key === "offline" && !this.#model.balance;
    const all = { ...values, time: words.time(this.#model.time ?? Date.now()) };
    this.#view.announce(words.say(missingBalance ? "unreachable" : key, all, n));
  }

  #fire(name, detail) {
    const { program, member } = this;
    const options = { bubbles: true, composed: true };
    this.dispatchEvent(
      new CustomEvent(name, { ...options, detail: { program, member, ...detail } }),
    );
  }

  /** Where the ledger is, with a slash at the end; null if that is no address. */
  #base() {
    try {
      const given = this.baseUrl || new URL("../../", import.meta.url).href;
      const url = new URL(given.endsWith("/") ? given : `${given}/`, document.baseURI);
      return /^https?:$/.test(url.protocol) ? url.href : null;
    } catch {
      return null;
    }
  }

  #words() {
    let node = this;
    while (node && !node.lang) node = node.parentNode ?? node.host;
    const language = node?.lang || navigator.language;
    try {
      return new Words(language, this.timeZone || undefined);
    } catch (error) {
      console.error(`<loyalty-balance time-zone="${this.timeZone}">: ${error.message}`);
      return new Words(language, undefined);
    }
  }
}

for (const [name, attribute] of Object.entries(PROPERTIES)) {
  Object.defineProperty(LoyaltyBalance.prototype, name, {
    configurable: true,
    enumerable: true,
    get() {
      return this.getAttribute(attribute) ?? "";
    },
    set(value) {
      this.setAttribute(attribute, value);
    },
  });
}

if (!customElements.get("loyalty-balance")) {
  customElements.define("loyalty-balance", LoyaltyBalance);
}
