// Following one member: reading, watching, and coming back after trouble.

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;
/** A stream that lasted so long did not end because something is wrong. */
const STEADY_MS = 10_000;
/** Asking again with the same token would be answered the same. */
const FINAL = new Set(["unauthenticated", "permission_denied", "invalid_argument"]);

/**
 * Follows one member until `signal` aborts or the ledger refuses for good.
 *
 * `on.balance` and `on.details` get what the ledger answers, `on.heard` is told of every sign of
 * life, `on.trouble` gets the error when nothing can be read. After each failure it waits longer and
 * at random, so that the pages which a restarted server has lost do not come back all at once.
 */
async function follow(ledger, member, signal, on) {
  const readDetails = async () => {
    const [tier, schedule] = await Promise.all([
      ledger.read("GetTierStatus", member, signal),
      ledger.read("GetExpirySchedule", member, signal),
    ]);
    if (!signal.aborted) on.details(tier, schedule);
  };
  for (let failures = 0; !signal.aborted; failures += 1) {
    let began = Infinity;
    try {
      const [balance] = await Promise.all([
        ledger.read("GetBalance", member, signal),
        readDetails(),
      ]);
      if (signal.aborted) return;
      on.balance(balance);
      began = performance.now();
      for await (const { balance } of ledger.watch("WatchBalance", member, signal)) {
        if (signal.aborted) return;
        on.heard();
        if (balance && on.balance(balance)) await readDetails(); // a heartbeat has none
      }
    } catch (error) {
      if (signal.aborted) return;
      // Every restart of a server ends streams. It is trouble if reading fails, too.
      if (began === Infinity || FINAL.has(error.code)) on.trouble(error);
      if (FINAL.has(error.code)) return;
    }
    if (performance.now() - began > STEADY_MS) failures = 0;
    await wait(backOff(failures), signal);
  }
}

function backOff(failures) {
  return Math.random() * Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures);
}

/** Waits, or until `signal` aborts. */
function wait(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, signal.aborted ? 0 : ms);
    signal.addEventListener("abort", end);
  });
}
