// The ledger's JSON API in a browser: Connect, https://connectrpc.com/docs/protocol/.

const SERVICE = "ledger.v1.BalanceService";
const CALL_MS = 10_000;
/** The ledger sends something at least this often; a stream that is silent for longer is dead. */
const SILENCE_MS = 45_000;
const LAST_FRAME = 2;
const LONGEST_FRAME = 1 << 20;

/** The answer to a call that failed; `code` is one of Connect's. */
class CallError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Raises what the browser says of a network, or of an answer that is none, as a CallError. */
function unavailable(error) {
  throw new CallError("unavailable", String(error));
}

/** The object in a JSON text. */
function parsed(text) {
  try {
    const value = JSON.parse(text);
    if (value instanceof Object) return value;
  } catch {
    // told below
  }
  return unavailable(`${text.slice(0, 40)} … is no answer of the ledger`);
}

/** The ledger at `base` for the bearer of a token (https://connectrpc.com/docs/protocol/). */
class Ledger {
  constructor(base, token) {
    this.base = base;
    this.token = token;
  }

  /** One answer. Raises CallError. */
  async read(method, request, signal) {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(CALL_MS)]);
    const response = await this.#post(method, "application/json", JSON.stringify(request), limited);
    return parsed(await response.text().catch(unavailable));
  }

  /** Answers, as they come. Raises CallError, also when the stream breaks off. */
  async *watch(method, request, signal) {
    const silence = new AbortController();
    let timer;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
    };
    try {
      heard();
      const either = AbortSignal.any([signal, silence.signal]);
      const body = frame(JSON.stringify(request));
      const response = await this.#post(method, "application/connect+json", body, either);
      for await (const { flags, text } of frames(response.body, heard)) {
        const message = parsed(text);
        if (flags & LAST_FRAME) {
          if (message.error) throw new CallError(message.error.code, message.error.message);
          return;
        }
        yield message;
      }
      throw new CallError("unavailable", "the stream broke off");
    } finally {
      clearTimeout(timer);
      silence.abort();
    }
  }

  async #post(method, type, body, signal) {
    const headers = { "content-type": type, "connect-protocol-version": "1" };
    headers.authorization = `Bearer ${this.token}`;
    const response = await fetch(`${this.base}${SERVICE}/${method}`, {
      method: "POST",
      headers,
      body,
      signal,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    }).catch(unavailable);
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({}));
    const codes = { 401: "unauthenticated", 403: "permission_denied" };
    const code = problem.code ?? codes[response.status] ?? "unavailable";
    throw new CallError(code, problem.message ?? `HTTP ${response.status}`);
  }
}

/** A message in Connect's envelope: one byte of flags, four of length. */
function frame(text) {
  const payload = new TextEncoder().encode(text);
  const framed = new Uint8Array(5 + payload.length);
  new DataView(framed.buffer).setUint32(1, payload.length);
  framed.set(payload, 5);
  return framed;
}

/** The messages in a body; `heard` is called whenever something came. Raises CallError. */
async function* frames(body, heard) {
  const reader = body.getReader();
  let buffer = new Uint8Array(0);
  for (;;) {
    const { value, done } = await reader.read().catch(unavailable);
    if (done) return;
    heard();
    const joined = new Uint8Array(buffer.length + value.length);
    joined.set(buffer);
    joined.set(value, buffer.length);
    buffer = joined;
    while (buffer.length >= 5) {
      const length = new DataView(buffer.buffer, buffer.byteOffset).getUint32(1);
      if (length > LONGEST_FRAME) throw new CallError("internal", "no message is that long");
      if (buffer.length < 5 + length) break;
      const text = new TextDecoder().decode(buffer.subarray(5, 5 + length));
      yield { flags: buffer[0], text };
      buffer = buffer.subarray(5 + length);
    }
  }
}
