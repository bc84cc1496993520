"""The estate of these tests: three agents, one of them without a token, and games as the agent API's documents show them."""

from typing import Final

from playclock.v1.provisioning_service_pb2 import Agent, ProvisionedGame, Provisioning

TOKEN: Final = "dev-agent-token"
OTHER_TOKEN: Final = "other-agent-token"
CHAMPAGNE_KEY: Final = "champagne-key"

CHAMPAGNE: Final = ProvisionedGame(
    id="11111111-1111-4111-8111-111111111111",
    number=1001,
    name="Champagne Party",
    brand="Mega",
    image_url="https://cdn.example.com/images/games/champagne_party.jpg",
    play_url="https://game.example.com/play",
    demo_url="https://game.example.com/demo",
    api_keys=[CHAMPAGNE_KEY],
)
FORTUNE: Final = ProvisionedGame(
    id="22222222-2222-4222-8222-222222222222",
    number=1002,
    name="Book of Fortune",
    brand="Mega",
    image_url="https://cdn.example.com/images/games/book_of_fortune.jpg",
    play_url="https://game.example.com/fortune?lobby=a%20b#start",
    api_keys=["fortune-key"],
)
ELSEWHERE: Final = ProvisionedGame(
    id="33333333-3333-4333-8333-333333333333",
    number=1003,
    name="Elsewhere",
    play_url="https://game.example.com/elsewhere",
    demo_url="https://game.example.com/elsewhere",
    api_keys=["elsewhere-key"],
)

ESTATE: Final = Provisioning(
    games=[CHAMPAGNE, FORTUNE, ELSEWHERE],
    agents=[
        Agent(id=1, name="Agent One", api_token=TOKEN, games=[1001, 1002]),
        Agent(id=2, name="Agent Two", api_token=OTHER_TOKEN, games=[1003]),
        Agent(id=3, name="Agent without a token", games=[1001]),
    ],
)
