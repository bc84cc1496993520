// Calls everything that play.fun's published server SDK has, and prints what came of each call as one JSON object.

const [sdk, baseUrl, apiKey, secretKey, image, cover, knownGame, sessionToken] = process.argv.slice(2);
const { OpenGameClient } = await import(sdk);
const client = new OpenGameClient({ apiKey, secretKey, baseUrl });
const told = {};

async function note(name, call) {
  try {
    told[name] = await call();
  } catch (error) {
    told[name] = { status: error.status ?? null, message: error.message };
  }
  return told[name];
}

const file = (name, text) => new File([Buffer.from(text, "base64")], name, { type: "image/png" });
const game = {
  name: "Game of the SDK",
  description: "What it is",
  gameUrl: "https://mygame.com",
  platform: "web",
  isHtmlGame: true,
  iframable: false,
  twitter: undefined,
  gameCoinSymbol: null,
  maxScorePerSession: null,
  maxSessionsPerDay: 10,
  tokens: [],
  tokenSplits: {},
};

const made = await note("registered", () =>
  client.games.register({ ...game, image: file("image.png", image), coverImage: file("cover.png", cover) }),
);
told.createdAtIsDate = made.createdAt instanceof Date;
await note("inBase64", () => client.games.register({ ...game, base64Image: `data:image/png;base64,${image}` }));
await note("withoutImage", () => client.games.register(game));
await note("updated", () =>
  client.games.update({ gameId: made.id, platform: "ios", description: "New", removeCoverImage: true, maxSessionsPerDay: null }),
);
await note("byId", () => client.games.getById({ gameId: made.id }));
await note("byIds", () => client.games.getManyByIds({ gameIds: [made.id, knownGame] }));
await note("byTokenId", () => client.games.getByTokenId({ tokenId: "TokenMint123" }));
await note("byTokenIds", () => client.games.getByBatchTokenIds({ tokenIds: ["TokenMint123"] }));
await note("saved", () => client.play.savePoints({ gameId: made.id, playerId: "did:privy:ann", points: 10 }));
await note("savedBatch", () =>
  client.play.batchSavePoints({ gameId: made.id, pointsRecord: { "did:privy:ann": 15, "did:privy:ben": 7 } }),
);
await note("points", () => client.play.getPoints({ gameId: made.id, playerId: "did:privy:ann" }));
await note("leaderboard", () => client.play.getLeaderboard({ gameId: made.id }));
await note("goodToken", () => client.play.validateSessionToken(sessionToken));
await note("badToken", () => client.play.validateSessionToken("player_nobody"));
await note("me", () => client.users.me());
await note("user", () => client.users.getById({ userId: apiKey }));
await note("otherUser", () => client.users.getById({ userId: made.id }));
// What the SDK refuses itself, whatever the server is.
await note("list", () => client.games.get({}));
await note("mine", () => client.games.getAuthedGames({ sort: "asc" }));
await note("claimed", () => client.games.claimOwnership({ gameId: made.id }));
console.log(JSON.stringify(told));
