import json
from pathlib import Path

import pytest

from steps.filtering.secrets import PATTERNS, SecretSettings, entropy, find_secrets, secrets

MIXED = "q7Rt2ZxW9bLm4KpV8cNs6YhJ3dFg5TaE1uQi0oPyXvBnMwCkHlGjDfSaZrTeUo"
UPPER = "QX7RTZ2WLMK4PVNSY6HJFGT5AEUQ"
HEX = "3f9a1c7e5b2d8064f1e3a9c7b5d20864e1f3a9c7"


def of(length, alphabet=MIXED):
    return (alphabet * 8)[:length]


#: Category -> a text that holds one of it, put together here so that no file holds what looks like a credential.
EXAMPLES = {
    "aws_key": "key AKIA" + of(16, UPPER) + " is set",
    "aws_secret": "aws_secret_access_key = " + of(40),
    "google_key": "AIza" + of(35),
    "google_oauth": "GOCSPX-" + of(28),
    "github_token": "ghp_" + of(36),
    "gitlab_token": "glpat-" + of(20),
    "slack_token": "xoxb-" + "2" * 3 + "4815162342-" + of(24),
    "slack_webhook": "https://hooks.slack.com/services/T" + of(9, UPPER) + "/B" + of(9, UPPER) + "/" + of(24),
    "stripe_key": "sk_live_" + of(24),
    "openai_key": "sk-proj-" + of(48),
    "anthropic_key": "sk-ant-api03-" + of(60),
    "hugging_face_token": "hf_" + of(34, "qRtZxWbLmKpVcNsYhJdFgTaEuQioPyXvBn"),
    "npm_token": "npm_" + of(36),
    "pypi_token": "pypi-AgE" + of(60),
    "sendgrid_key": "SG." + of(22) + "." + of(43),
    "twilio_key": "SK" + of(32, HEX),
    "telegram_token": "5839201746:AA" + of(33),
    "azure_key": "AccountKey=" + of(86) + "==",
    "jwt": "eyJ" + of(20) + ".eyJ" + of(40) + "." + of(43),
    "private_key": "-----BEGIN RSA PRIVATE KEY-----\n" + of(128) + "\n-----END RSA PRIVATE KEY-----",
    "url_password": "postgres://svc:" + of(14) + "@db.internal:5432/app",
    "password": 'db_password = "' + of(14) + '"',
}


@pytest.mark.parametrize("category", EXAMPLES)
def test_each_kind_is_found_and_its_place_is_exact(category):
    (finding,) = find_secrets(f"Here: {EXAMPLES[category]} .")
    assert finding.category == category
    assert f"Here: {EXAMPLES[category]} ."[finding.start : finding.end] == finding.same_as


def test_every_pattern_has_an_example():
    assert set(EXAMPLES) == {pattern.category for pattern in PATTERNS}


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        'api_key = "YOUR_API_KEY"',
        'api_key="sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"',
        'password = "<your-password>"',
        'password: "${DB_PASSWORD}"',
        'token = "os.environ[TOKEN]"',
        'password = "correct horse battery"',
        'password = "hunter2hunter2"',
        'secret = "abcdefghijkl"',
        "postgres://postgres:postgres@localhost/db",
        "postgres://user:password@localhost/db",
        "https://${USER}:${PASS}@example.com",
        "http://localhost:8080/@scope/package",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "the token eyJ is base64 for a brace",
        "sha256 3f9a1c7e5b2d8064f1e3a9c7b5d20864e1f3a9c73f9a1c7e5b2d8064f1e3a9c7",
        'tokens = ["hello", "world"]',
        "my password is on the note",
    ],
)
def test_what_stands_for_a_secret_is_none(text):
    assert find_secrets(text) == []


def test_secrets_are_masked_in_all_turns_and_never_shown(row, batch):
    key = EXAMPLES["github_token"]
    outcome = secrets(batch([row(f"I used {key}.", prompt=f"Use {key}"), row("fine", position=1)]), SecretSettings())
    assert outcome.contents.to_pylist()[:2] == ["Use <GITHUB_TOKEN_1>", "I used <GITHUB_TOKEN_1>."]
    assert outcome.remarks == [(0, "secret_masked", 2.0, f"github_token ×2 (g…{key[-1]}, 40 characters)")]


@pytest.mark.parametrize(
    ("settings", "failures", "remarks"),
    [
        ({"keys": "drop"}, ["secret"], []),
        ({"keys": "report"}, [], ["secret_found"]),
        ({"keys": None}, [], []),
        ({"keys": None, "passwords": None}, [], []),
    ],
)
def test_modes(row, batch, settings, failures, remarks):
    outcome = secrets(batch([row(EXAMPLES["jwt"])]), SecretSettings(**settings))
    assert [failure.reason.value for failure in outcome.failures] == failures
    assert [remark.reason.value for remark in outcome.remarks] == remarks


def test_the_entropy_of_passwords_can_be_set(row, batch):
    rows = batch([row('password = "Zebra-Lamp-77"')])
    assert secrets(rows, SecretSettings(min_password_entropy=4)).remarks == []
    assert len(secrets(rows, SecretSettings(min_password_entropy=2)).remarks) == 1


def test_entropy_is_that_of_the_characters():
    assert entropy("ab" * 10) == 1.0


def test_detect_secrets_finds_what_we_find():
    """The oracle, without its entropy plugins; it knows no pattern for the categories left out."""
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import transient_settings

    names = (
        "AWSKeyDetector", "GitHubTokenDetector", "GitLabTokenDetector", "SlackDetector", "StripeDetector",
        "PrivateKeyDetector", "BasicAuthDetector", "SendGridDetector", "TwilioKeyDetector",
        "TelegramBotTokenDetector", "AzureStorageKeyDetector",
    )  # fmt: skip
    known = ("aws_key", "github_token", "gitlab_token", "slack_token", "stripe_key", "private_key", "url_password",
             "sendgrid_key", "twilio_key", "telegram_token", "azure_key")  # fmt: skip
    with transient_settings({"plugins_used": [{"name": name} for name in names]}):
        for category in known:
            line = EXAMPLES[category].split("\n")[0]
            assert list(scan_line(line)), category


@pytest.mark.real_data
def test_hostile_strings_hold_no_secret(real_data: Path) -> None:
    for text in json.loads((real_data / "blns/blns.json").read_text()):
        assert find_secrets(text) == [], text
