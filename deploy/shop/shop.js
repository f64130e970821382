// What this shop's page does besides: it brings tokens, and it buys.

const points = document.querySelector("loyalty-balance");
const receipt = document.querySelector("#receipt");

async function ask(path, request) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(request);
  const response = await fetch(path, { method: "POST", headers, body });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

// The shop's back end knows who is signed in, and answers program, member and token.
async function renew() {
  try {
    Object.assign(points, await ask("/loyalty-token", {}));
  } catch (error) {
    console.warn("no token:", error.message); // the widget will say so, and ask again
  }
}

points.addEventListener("loyalty-token-expired", renew);
renew();

for (const button of document.querySelectorAll("button[value]")) {
  button.addEventListener("click", async () => {
    const order = crypto.randomUUID();
    button.disabled = true;
    try {
      const { messages } = await ask("/orders", { order, article: button.value });
      say(messages);
    } catch (error) {
      say([error.message]);
    }
    button.disabled = false;
  });
}

function say(lines) {
  const paragraph = (line) => Object.assign(document.createElement("p"), { textContent: line });
  receipt.replaceChildren(...lines.map(paragraph));
}
