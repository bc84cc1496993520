// A game's server that plays OkLetsPlay matches, for Node 18 or newer, without packages: who throws more wins.
//
//     playclock match-config super-game --token dev-operator-token > developer-config.json
//     node examples/match_server/match_server.mjs --config developer-config.json
//
// listens on 127.0.0.1:9000, where the example estate has its match_info_url and launch_url. README.md beside this file walks
// through a match.
//
// What it hears is believed only if playclock has signed it, token and body; what it is told twice counts once; and a result is
// reported until playclock has taken it, which is safe, since the first one counts.

import { createHash, createHmac, timingSafeEqual, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

const BODY_BYTES_MAX = 262_144;
const PATIENCE_MS = 10_000;
const WINDOW_SEC = 300;
const KEY_MS = 10_000;
const TRIES = 5;

/** This server, or playclock, does not do it. */
class Refused extends Error {
  constructor(status, error) {
    super(error);
    this.status = status;
  }
}

/** Sends a request; resolves to what is answered in JSON. */
async function ask(url, options = {}) {
  let answer;
  try {
    answer = await fetch(url, { ...options, signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch {
    throw new Refused(503, "playclock cannot be reached");
  }
  const told = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, `${told.error}: ${told.error_description}`);
  return told;
}

/** playclock, as developer-config.json describes it. */
class Platform {
  #url;
  #login;
  #token = Promise.resolve("");
  #untilMs = 0;
  #pem;
  #readMs = -Infinity;

  constructor(config) {
    this.#url = config.okletsplay_url;
    this.#login = config.authentication;
  }

  /** Who plays which match by a token. */
  tokenInfo(token) {
    return this.#post("/api/games/v1/token-info", { token });
  }

  /** Reports a result, again where it may help; resolves to the one that counts. */
  async finish(report) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#post("/api/games/v1/finish", report);
      } catch (error) {
        const isFinal = !(error instanceof Refused) || (error.status < 500 && error.status !== 429);
        if (isFinal || attempt === TRIES) throw error;
      }
      await sleep(200 * 2 ** attempt);
    }
  }

  /** Whether playclock has signed a token for us, to call us with, and it is not over. */
  async isCaller(token) {
    const parts = token.split(".");
    if (parts.length !== 3) return false;
    let header, claims;
    try {
      [header, claims] = parts.slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url")));
    } catch {
      return false;
    }
    // The algorithm is ours to choose, and never the token's.
    if (header?.alg !== "RS256") return false;
    const isSigned = async (again) =>
      verify("RSA-SHA256", Buffer.from(parts.slice(0, 2).join(".")), await this.#key(again), Buffer.from(parts[2], "base64url"));
    // The key may have been rotated.
    if (!(await isSigned(false)) && !(await isSigned(true))) return false;
    return claims.aud === this.#login.client_id && claims.typ === "Push" && claims.exp > Date.now() / 1000;
  }

  /** Whether playclock has signed a body just now, as Standard Webhooks has it. */
  isSigned(messageId, timestamp, body, signatures) {
    if (!/^[0-9]{1,12}$/.test(timestamp) || Math.abs(Date.now() / 1000 - timestamp) > WINDOW_SEC) return false;
    const secret = this.#login.client_secret;
    const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret);
    const text = Buffer.concat([Buffer.from(`${messageId}.${timestamp}.`), body]);
    const made = Buffer.from(`v1,${createHmac("sha256", key).update(text).digest("base64")}`);
    return signatures
      .split(" ")
      .map((given) => Buffer.from(given))
      .some((given) => given.length === made.length && timingSafeEqual(given, made));
  }

  /** The realm's public key, read again at most every few seconds. */
  async #key(again) {
    if (!this.#pem || (again && Date.now() - this.#readMs > KEY_MS)) {
      const { public_key: key } = await ask(this.#login.public_key_url);
      this.#pem = `-----BEGIN PUBLIC KEY-----\n${key}\n-----END PUBLIC KEY-----`;
      this.#readMs = Date.now();
    }
    return this.#pem;
  }

  /** An access token that is good for a while, the last one where it is. */
  #accessToken() {
    if (Date.now() >= this.#untilMs) {
      const { client_id, client_secret, token_url } = this.#login;
      const body = new URLSearchParams({ client_id, client_secret, grant_type: "client_credentials", scope: "olp-report-api" });
      this.#untilMs = Date.now() + PATIENCE_MS;
      const askedMs = Date.now();
      this.#token = ask(token_url, { method: "POST", body }).then(
        (answer) => {
          this.#untilMs = askedMs + answer.expires_in * 800;
          return answer.access_token;
        },
        (error) => {
          this.#untilMs = 0;
          throw error;
        },
      );
    }
    return this.#token;
  }

  async #post(path, body) {
    const headers = { Authorization: `Bearer ${await this.#accessToken()}`, "Content-Type": "application/json" };
    return ask(this.#url + path, { method: "POST", headers, body: JSON.stringify(body) });
  }
}

/** The matches that this server was told of, and what their players have thrown. A real one would keep them on a disk. */
class Game {
  #platform;
  #matches = new Map();

  constructor(platform) {
    this.#platform = platform;
  }

  /** Notes a match. It may be told of again. */
  begin(info) {
    if (!this.#matches.has(info.match_id)) this.#matches.set(info.match_id, { info, scores: new Map() });
  }

  /** Forgets a match that is off, or that nobody told of. */
  callOff(matchId) {
    this.#matches.delete(matchId);
  }

  /** Lets a player throw, reports the result after the last one, and resolves to what the player is shown. */
  async play(token) {
    const { match_id, user_id, match_status } = await this.#platform.tokenInfo(token);
    if (match_status !== "live" && match_status !== "pending") throw new Refused(403, `the match is ${match_status}`);
    const match = this.#matches.get(match_id);
    if (!match) throw new Refused(409, "this server was not told of the match");
    const score = thrown(match_id, user_id);
    match.scores.set(user_id, score);
    const isOver = match.scores.size === match.info.participants.length;
    const result = isOver ? await this.#platform.finish(reportOf(match.info, match.scores)) : null;
    return { match_id, user_id, score, result };
  }
}

/** What a player throws: the match is the seed, so nobody can throw twice. */
function thrown(matchId, userId) {
  return createHash("sha256").update(`${matchId}/${userId}`).digest().readUInt16BE(0);
}

/** A synchronous game's report: teams by the sum of their players' scores, those that are equal with one ranking. */
function reportOf({ match_id, participants, teams }, scores) {
  const sums = new Map(teams.map((team) => [team.id, 0]));
  for (const player of participants) sums.set(player.team_id, sums.get(player.team_id) + scores.get(player.id));
  const better = (score) => [...sums.values()].filter((other) => other > score).length;
  return {
    match_id,
    participants: participants.map(({ id }) => ({ id, score: scores.get(id) })),
    teams: [...sums].map(([id, score]) => ({ id, score, ranking: 1 + better(score) })),
  };
}

/** The body of a request. */
async function bodyOf(request) {
  const pieces = [];
  let length = 0;
  for await (const piece of request) {
    length += piece.length;
    if (length > BODY_BYTES_MAX) throw new Refused(413, "the body is too long");
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** What playclock says by a request. */
async function heard(platform, request) {
  const body = await bodyOf(request);
  const [scheme, token = ""] = (request.headers.authorization ?? "").split(" ");
  const [id = "", at = "", signatures = ""] = ["id", "timestamp", "signature"].map((name) => request.headers[`webhook-${name}`]);
  if (scheme !== "Bearer" || !(await platform.isCaller(token)) || !platform.isSigned(id, at, body, signatures)) {
    throw new Refused(401, "not signed by playclock");
  }
  return JSON.parse(body);
}

/** Does what a request asks for; resolves to the answer. */
async function handle(platform, game, request) {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/match-info" && request.method === "PUT") {
    game.begin(await heard(platform, request));
    return {};
  }
  if (url.pathname === "/match-info" && request.method === "DELETE") {
    game.callOff((await heard(platform, request)).match_id);
    return {};
  }
  if (url.pathname === "/play" && request.method === "GET" && url.searchParams.has("token")) {
    return game.play(url.searchParams.get("token"));
  }
  throw new Refused(404, "expected /match-info, or /play?token=");
}

const { values } = parseArgs({ options: { config: { type: "string" }, listen: { type: "string", default: "127.0.0.1:9000" } } });
const platform = new Platform(JSON.parse(readFileSync(values.config, "utf8")));
const game = new Game(platform);
const server = createServer((request, response) => {
  const say = (status, answer) => {
    response.writeHead(status, { "Content-Type": "application/json", Connection: "close" }).end(JSON.stringify(answer));
  };
  handle(platform, game, request).then(
    (answer) => say(200, answer),
    (error) => {
      if (!(error instanceof Refused)) console.error(error);
      say(error instanceof Refused ? error.status : 500, { error: error instanceof Refused ? error.message : "internal error" });
    },
  );
});
const colon = values.listen.lastIndexOf(":");
server.listen(Number(values.listen.slice(colon + 1)), values.listen.slice(0, colon), () => console.log(`ready ${values.listen}`));
process.on("SIGTERM", () => server.close());
