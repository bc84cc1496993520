"""Launch URLs: the token where each kind of game looks for it, and nothing that a browser would take for something else."""

import pytest
from playclock.core.launch_url import launch_url, launch_url_problem

TOKEN = "match_x-Y_z"


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://mycompany.com/mycoolgame", f"https://mycompany.com/mycoolgame?token={TOKEN}"),
        ("https://mycompany.com/play?mode=1&token=old#top", f"https://mycompany.com/play?mode=1&token={TOKEN}#top"),
        ("https://mycompany.com/{token}/play", f"https://mycompany.com/{TOKEN}/play"),
        ("mycompany://mycoolgame", f"mycompany://mycoolgame?token={TOKEN}"),
        ("mycompany://mycoolgame?a=b", f"mycompany://mycoolgame?a=b&token={TOKEN}"),
        ("steam://run/480", f"steam://run/480//-token {TOKEN}"),
        ("steam://run/480/", f"steam://run/480//-token {TOKEN}"),
        ("steam://run/480//-token {token}", f"steam://run/480//-token {TOKEN}"),
        ("steam://run/480//-windowed -token {token}/", f"steam://run/480//-windowed -token {TOKEN}/"),
        ("", ""),
    ],
)
def test_the_token_is_where_the_game_looks_for_it(base: str, url: str) -> None:
    assert launch_url_problem(base) is None
    assert launch_url(base, TOKEN) == url


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "mycompany:mycoolgame",
        "://x",
        "https://",
        "https://user:password@example.com/",
        "https://example.com:port/",
        "https://example.com/a b",
        "https://example.com/{match}",
        "https://example.com/\n",
        "https://example.com/" + "x" * 2_048,
        "HTTPS://",
        "javascript://example.com/%0aalert(1)",
        "JavaScript://example.com/{token}",
        "data://text/html,x",
        "file:///etc/passwd",
        "blob://x",
        "steam://run/480//-windowed",
        "steam://run/x",
        "steam://uninstall/480",
        "my company://x",
        "mycompany://a b",
        "mycompany://[x",
        "1game://x",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    problem = launch_url_problem(text)
    assert problem is not None
    assert problem.startswith("expected an http or https URL")
