// Signs requests to the play.fun API in Node 18 or newer, without packages, so that the secret key never leaves its machine.
//
//     export PLAYFUN_API=http://127.0.0.1:8080
//     export PLAYFUN_API_KEY=550e8400-e29b-41d4-a716-446655440000 PLAYFUN_SECRET_KEY=dev-developer-secret
//     node examples/playfun_client/playfun_client.mjs GET /user/me
//     node examples/playfun_client/playfun_client.mjs sign GET /games/me
//     node examples/playfun_client/playfun_client.mjs register '{"name": "My Game", "description": "What it is",
//       "gameUrl": "https://mygame.com", "platform": "WEB"}' image.png
//     node examples/playfun_client/playfun_client.mjs update GAME_ID '{"description": "What it is now"}'
//
// What is signed is the method, the path without its query, and the time in milliseconds. The body is not.

import { createHmac } from "node:crypto";
import { readFileSync, realpathSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

/** The header Authorization. */
export function authorizationOf(secretKey, apiKey, method, path, timestampMs) {
  const text = [method.toLowerCase(), path.split("?")[0].toLowerCase(), timestampMs].join("\n");
  const signature = createHmac("sha256", secretKey).update(text, "utf8").digest("hex");
  return `HMAC-SHA256 apiKey=${apiKey}, signature=${signature}, timestamp=${timestampMs}`;
}

/** The API refused. `status` is HTTP's, `message` a sentence for people. */
export class PlayfunError extends Error {
  constructor(status, message) {
    super(`${status} ${message}`);
    this.status = status;
  }
}

/** The API for one developer. */
export class PlayfunClient {
  #secretKey;
  #lastMs = 0;

  constructor(api, apiKey, secretKey) {
    this.api = api;
    this.apiKey = apiKey;
    this.#secretKey = secretKey;
  }

  /** Makes a call with a body (FormData, anything else as JSON) or without one; resolves to what the API answers. */
  async call(method, path, body) {
    // Never the same time twice: a signature that comes again stands for the same call, and does nothing more.
    this.#lastMs = Math.max(this.#lastMs + 1, Date.now());
    const signed = authorizationOf(this.#secretKey, this.apiKey, method, path, this.#lastMs);
    const headers = { Authorization: signed, "x-auth-provider": "hmac" };
    const isForm = body instanceof FormData;
    if (body !== undefined && !isForm) headers["Content-Type"] = "application/json";
    const answer = await fetch(this.api + path, {
      method,
      headers,
      body: body === undefined || isForm ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const told = await answer.json();
    if (!answer.ok) throw new PlayfunError(answer.status, told.message);
    return told;
  }

  /** Registers a game with a picture, a File or Blob of at most 10 MB; resolves to the game as it is now, with its id. */
  register(game, image) {
    const form = new FormData();
    for (const [name, value] of Object.entries(game)) {
      // A form has texts alone: objects go as JSON, and what there is none of stays out.
      if (value != null) form.append(name, typeof value === "object" ? JSON.stringify(value) : value);
    }
    form.append("image", image);
    return this.call("POST", "/games", form);
  }

  /** Changes those fields of a game that are named; resolves to the game as it is now. */
  update(gameId, changes) {
    return this.call("POST", `/games/update/${gameId}`, changes);
  }
}

function carryOut(client, method, path, body) {
  if (method === "register") return client.register(JSON.parse(path), new File([readFileSync(body)], basename(body)));
  if (method === "update") return client.update(path, JSON.parse(body));
  return client.call(method, path, body && JSON.parse(body));
}

async function main(...args) {
  const { PLAYFUN_API, PLAYFUN_API_KEY, PLAYFUN_SECRET_KEY } = process.env;
  if (args[0] === "sign") {
    const [, method, path, at] = args;
    return authorizationOf(PLAYFUN_SECRET_KEY, PLAYFUN_API_KEY, method, path, at ?? Date.now());
  }
  const client = new PlayfunClient(PLAYFUN_API, PLAYFUN_API_KEY, PLAYFUN_SECRET_KEY);
  const told = await carryOut(client, ...args);
  return JSON.stringify(told);
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    console.log(await main(...process.argv.slice(2)));
  } catch (error) {
    if (!(error instanceof PlayfunError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
