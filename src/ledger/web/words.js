// Numbers, money, dates and sentences in the language of an element.

/** Languages that are written from right to left, and what makes a text run that way. */
const LEFTWARD = /^(ar|ckb|dv|fa|he|ps|sd|ug|ur|yi)\b/;
const LEFTWARD_TEXT = /[\u0590-\u08ff\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc]/;

/** Numbers, money, dates and sentences in one language. */
class Words {
  /**
   * `language` is a BCP 47 tag; texts that it does not have are in English.
   * Throws a RangeError for a time zone that the browser does not know.
   */
  constructor(language, timeZone) {
    this.language = Intl.getCanonicalLocales(supported(language))[0];
    const short = this.language.split("-")[0];
    const chosen = [this.language, short].find((tag) => Object.hasOwn(TEXTS, tag)) ?? "en";
    /** the language of the texts, for whoever reads them aloud */
    this.textLanguage = chosen;
    /** theirs, too, which need not be that of the page */
    this.direction = LEFTWARD.test(chosen) ? "rtl" : "ltr";
    this.texts = { ...TEXTS.en, ...TEXTS[chosen] };
    this.plural = new Intl.PluralRules(chosen);
    const zoned = (style) => new Intl.DateTimeFormat(this.language, { ...style, timeZone });
    this.days = zoned({ dateStyle: "long" });
    this.minutes = zoned({ timeStyle: "short" });
    this.daysAndMinutes = zoned({ dateStyle: "short", timeStyle: "short" });
  }

  say(key, values = {}, n = 0n) {
    const text = this.texts[key];
    const form =
      typeof text === "string" ? text : (text[this.plural.select(Number(n))] ?? text.other);
    const all = { n: this.number(n), ...values };
    if (key !== "points") all.points = this.say("points", {}, n);
    return form.replaceAll(/\{(\w+)\}/g, (whole, name) => this.#isolated(all[name] ?? whole));
  }

  /** What runs the other way than the sentence keeps to itself, and leaves the rest in its order. */
  #isolated(text) {
    const mixes = this.direction === "rtl" || LEFTWARD_TEXT.test(text);
    return mixes ? `\u2068${text}\u2069` : text;
  }

  number(n) {
    return new Intl.NumberFormat(this.language).format(n);
  }

  money({ currencyCode, units = "0", nanos = 0 }) {
    const amount = `${units}.${String(nanos).padStart(9, "0")}`;
    const style = { style: "currency", currency: currencyCode };
    return new Intl.NumberFormat(this.language, style).format(amount);
  }

  /** The last day on which something can be done that ends at this instant. */
  lastDay(instant) {
    return this.date(Date.parse(instant) - 1);
  }

  date(instant) {
    return this.days.format(new Date(instant));
  }

  /** A time of today, or with its day. */
  time(instant) {
    const isToday = this.date(instant) === this.date(Date.now());
    return (isToday ? this.minutes : this.daysAndMinutes).format(new Date(instant));
  }
}

function supported(language) {
  try {
    return Intl.NumberFormat.supportedLocalesOf(language).length ? language : "en";
  } catch {
    return "en"; // no language tag at all
  }
}
