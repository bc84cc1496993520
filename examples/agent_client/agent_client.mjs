// A client of the agent API for Node 18 or newer, without packages: signs each request as the API's documents say.
//
//     export AGENT_API=http://127.0.0.1:8080 AGENT_ID=1 AGENT_TOKEN=dev-agent-token
//     node examples/agent_client/agent_client.mjs games
//     node examples/agent_client/agent_client.mjs link 123 player_123
//     node examples/agent_client/agent_client.mjs demo 123 player_123
//
// What is signed is the body with its top-level names sorted, and that very text is what is sent.

import { createHmac, randomUUID } from "node:crypto";
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The body as it is signed and sent. */
export function textOf(body) {
  return JSON.stringify(Object.fromEntries(Object.keys(body).sort().map((name) => [name, body[name]])));
}

/** The header X-Signature. */
export function signatureOf(token, text) {
  return createHmac("sha256", token).update(text, "utf8").digest("hex");
}

/** The API refused. `status` is HTTP's, `code` what programs branch on, `message` a sentence for people. */
export class AgentError extends Error {
  constructor(status, { error, message }) {
    super(`${status} ${error}: ${message}`);
    this.status = status;
    this.code = error;
  }
}

/** The API for one agent. */
export class AgentClient {
  #token;
  #etag;
  #games;

  constructor(api, agentId, token) {
    this.api = api;
    this.agentId = agentId;
    this.#token = token;
  }

  /** A link that launches a game for a player. The same agentSessionId gets a link to the same launch. */
  async gameLink(gameId, player, agentSessionId) {
    const answer = await this.#call("get_game_link", { game_id: gameId, ...player, agent_session_id: agentSessionId });
    return (await answer.json()).content.url;
  }

  /** A link that launches a game's demo. */
  async demoLink(gameId, player) {
    const answer = await this.#call("get_game_link_demo", { game_id: gameId, ...player });
    return (await answer.json()).content.url;
  }

  /** The list of games. It is sent again only when it has changed. */
  async games() {
    const answer = await this.#call("list", {}, this.#etag ? { "If-None-Match": this.#etag } : {});
    if (answer.status === 200) {
      this.#games = (await answer.json()).content;
      this.#etag = answer.headers.get("etag");
    }
    return this.#games;
  }

  async #call(name, fields, headers = {}) {
    const text = textOf({ agent_id: this.agentId, timestamp: Math.floor(Date.now() / 1000), ...fields });
    const answer = await fetch(`${this.api}/api/games/${name}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Signature": signatureOf(this.#token, text), ...headers },
      body: text,
      signal: AbortSignal.timeout(10_000),
    });
    if (answer.status !== 200 && answer.status !== 304) throw new AgentError(answer.status, await answer.json());
    return answer;
  }
}

async function main(command, ...args) {
  const { AGENT_API, AGENT_ID, AGENT_TOKEN } = process.env;
  // The body as it stands, by a token: to compare with other clients.
  if (command === "sign") return signatureOf(AGENT_TOKEN, textOf(JSON.parse(args[0])));
  const client = new AgentClient(AGENT_API, Number(AGENT_ID), AGENT_TOKEN);
  if (command === "games") return JSON.stringify(await client.games());
  const [gameId, playerId] = args;
  const player = {
    player_id: playerId,
    player_username: "Ёлка/雪",
    language: "ru",
    currency: "RUB",
    home_url: "https://example.com/lobby?from=game",
    ip: "192.168.1.1",
  };
  if (command === "demo") return client.demoLink(Number(gameId), player);
  return client.gameLink(Number(gameId), player, randomUUID());
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    console.log(await main(...process.argv.slice(2)));
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
