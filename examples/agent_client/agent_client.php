<?php
// A client of the agent API for PHP 8.1 or newer, without packages: signs each request as the API's documents say.
//
//     export AGENT_API=http://127.0.0.1:8080 AGENT_ID=1 AGENT_TOKEN=dev-agent-token
//     php examples/agent_client/agent_client.php games
//     php examples/agent_client/agent_client.php link 123 player_123
//     php examples/agent_client/agent_client.php demo 123 player_123
//
// What is signed is the body with its top-level names sorted, and that very text is what is sent.

declare(strict_types=1);

/** The body as it is signed and sent. */
function text_of(array $body): string
{
    ksort($body);
    return json_encode($body, JSON_THROW_ON_ERROR);
}

/** The header X-Signature. */
function signature_of(string $token, string $text): string
{
    return hash_hmac('sha256', $text, $token);
}

/** The API refused. `status` is HTTP's, `error` what programs branch on, the message a sentence for people. */
final class AgentError extends RuntimeException
{
    public function __construct(public readonly int $status, public readonly string $error, string $message)
    {
        parent::__construct("$status $error: $message");
    }
}

/** The API for one agent. */
final class AgentClient
{
    private ?array $games = null;
    private string $etag = '';

    public function __construct(private string $api, private int $agentId, private string $token)
    {
    }

    /** A link that launches a game for a player. The same agent session id gets a link to the same launch. */
    public function gameLink(int $gameId, array $player, string $agentSessionId): string
    {
        $order = ['game_id' => $gameId, 'agent_session_id' => $agentSessionId] + $player;
        return $this->call('get_game_link', $order)['url'];
    }

    /** A link that launches a game's demo. */
    public function demoLink(int $gameId, array $player): string
    {
        return $this->call('get_game_link_demo', ['game_id' => $gameId] + $player)['url'];
    }

    /** The list of games. It is sent again only when it has changed. */
    public function games(): array
    {
        return $this->games = $this->call('list', []) ?? $this->games;
    }

    private function call(string $name, array $fields): ?array
    {
        $text = text_of(['agent_id' => $this->agentId, 'timestamp' => time()] + $fields);
        $headers = ['Content-Type: application/json', 'X-Signature: ' . signature_of($this->token, $text)];
        if ($name === 'list' && $this->etag !== '') {
            $headers[] = "If-None-Match: $this->etag";
        }
        $options = ['method' => 'POST', 'header' => $headers, 'content' => $text, 'ignore_errors' => true, 'timeout' => 10];
        $stream = fopen("$this->api/api/games/$name", 'r', false, stream_context_create(['http' => $options]));
        if ($stream === false) {
            throw new RuntimeException('the API could not be reached');
        }
        $told_headers = stream_get_meta_data($stream)['wrapper_data'];
        $answer = stream_get_contents($stream);
        $status = (int) explode(' ', $told_headers[0])[1];
        if ($status === 304) {
            return null;
        }
        $told = json_decode($answer, true, flags: JSON_THROW_ON_ERROR);
        if ($status !== 200) {
            throw new AgentError($status, $told['error'], $told['message']);
        }
        foreach ($told_headers as $header) {
            if (stripos($header, 'etag:') === 0) {
                $this->etag = trim(substr($header, 5));
            }
        }
        return $told['content'];
    }
}

function main(string $command, string ...$arguments): string
{
    $token = (string) getenv('AGENT_TOKEN');
    if ($command === 'sign') { // the body as it stands, by a token: to compare with other clients
        return signature_of($token, text_of(json_decode($arguments[0], true, flags: JSON_THROW_ON_ERROR)));
    }
    $client = new AgentClient((string) getenv('AGENT_API'), (int) getenv('AGENT_ID'), $token);
    if ($command === 'games') {
        return json_encode($client->games(), JSON_THROW_ON_ERROR);
    }
    [$gameId, $playerId] = $arguments;
    $player = [
        'player_id' => $playerId,
        'player_username' => 'Ёлка/雪',
        'language' => 'ru',
        'currency' => 'RUB',
        'home_url' => 'https://example.com/lobby?from=game',
        'ip' => '192.168.1.1',
    ];
    return match ($command) {
        'demo' => $client->demoLink((int) $gameId, $player),
        'link' => $client->gameLink((int) $gameId, $player, bin2hex(random_bytes(16))),
    };
}

if (realpath($_SERVER['SCRIPT_FILENAME']) === __FILE__) {
    try {
        echo main(...array_slice($argv, 1)), "\n";
    } catch (AgentError $refused) {
        fwrite(STDERR, $refused->getMessage() . "\n");
        exit(1);
    }
}
