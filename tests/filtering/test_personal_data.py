import json
from pathlib import Path

import pytest
from pydantic import ValidationError

import steps.filtering.personal_data as module
from steps.filtering.personal_data import BY_PRESIDIO, HINTS, PersonalDataSettings, personal_data

#: Kind -> texts; what stands between ‹ and › is to be found.
FOUND = {
    "email": ["write to ‹jane.roe+news@uni-koeln.de›.", "<‹h.meier@firma.co.uk›>", "‹j.doe@gmail.com›, ‹x.y@web.de›"],
    "phone": ["call ‹+49 221 4701234› now", "tel. ‹(415) 867-5309›", "‹650-636-4884›", "phone: ‹4158675309›"],
    "credit_card": [
        "‹4539 1488 0343 6467›",
        "my card is ‹4539148803436467›",
        "visa ‹4716258050958645›",
    ],
    "iban": ["IBAN ‹DE75 5121 0800 1245 1261 99› please", "‹FR7630001007941234567890185›"],
    "ip_address": ["from ‹84.17.45.201› at noon", "‹2a02:8108:8ac0:1a2b:94c1:3a5f:77d0:12ef›"],
    "mac_address": ["device ‹3c:22:fb:7a:91:0e›", "‹3C-22-FB-7A-91-0E›", "‹3c22.fb7a.910e›"],
    "us_ssn": ["‹536-90-4399›", "my social security number is ‹536 90 4399›"],
    "passport": ["passport number: ‹488839667›"],
    "national_id": ["National Insurance number ‹JG103759A›", "her DNI is ‹54362315K›"],
    "crypto_wallet": ["pay ‹16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ›", "‹0x52908400098527886E0F7030069857D2E4169EE7›"],
    "url_credentials": ["git clone https://‹mkraus:s3cr3tpw99›@git.firma.de/x.git"],
    "date_of_birth": ["Date of birth: ‹12 March 1984›", "DOB ‹03/12/1984›", "Geburtsdatum: ‹12.03.1984›"],
}
#: What is nobody's, or nothing of the kind.
NOT_FOUND = [
    "user@example.com, jane@test.org, you@yourdomain.com, noreply@acme.io, git@github.com, icon@2x.png, a@b",
    "npm install @scope/package@1.2.3 and decorators like @app.route",
    "+1 212-555-0123, 555-0199, (555) 555-5555, 123-456-7890",
    "4111 1111 1111 1111 and 4242424242424242, order 4539148803436467",
    "parts 1200 3400 5600 7806 with a check digit that is right, of no issuer",
    "numbers 3001 3002 3003 3004, 35.453996555555557, 6000000003610-0-tps-336",
    "DE89370400440532013000",
    "127.0.0.1, 10.0.0.8, 192.168.1.10, 203.0.113.7, 8.8.8.8, 0.0.0.0, 255.255.255.0, fe80::1, ::1, std::vector",
    "version 84.17.45.201 and >=84.17.45.201, 1.2.3.4.5, 300.1.1.1",
    "00:00:00:00:00:00, ff:ff:ff:ff:ff:ff, 12:30:45, aa:bb:cc:dd:ee:ff",
    "ISBN 978-981-97-5669-8, 123-45-6789, 000-12-3456",
    "488839667 people have a passport of some kind, as of the year 2020, so it is said in the books",
    "0x0000000000000000000000000000000000000000, 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "postgres://user:password@localhost/db, https://example.com:8080/@me",
    "He was born on 12 March 1884 in Ulm.",
    "12 * 4 = 48, 2020-2021, 100-200-300, 1,234,567, 3.14159265358979",
]  # fmt: skip


@pytest.fixture
def masked(row, batch):
    def run(text, kinds=tuple(HINTS)):
        settings = PersonalDataSettings(**{kind: "mask" if kind in kinds else None for kind in HINTS})
        outcome = personal_data(batch([row(text)]), settings)
        return text if outcome.contents is None else outcome.contents[1].as_py()

    return run


@pytest.mark.parametrize(("kind", "marked"), [(kind, text) for kind, texts in FOUND.items() for text in texts])
def test_personal_data_is_found_to_the_character(masked, kind, marked):
    text = marked.replace("‹", "").replace("›", "")
    parts = marked.split("‹")
    expected = parts[0]
    for number, part in enumerate(parts[1:], start=1):
        expected += f"<{kind.upper()}_{number}>" + part.split("›")[1]
    assert masked(text, (kind,)) == expected


def test_every_kind_has_an_example():
    assert set(FOUND) == set(HINTS)


@pytest.mark.parametrize("text", NOT_FOUND)
def test_placeholders_and_lookalikes_stay(masked, text):
    assert masked(text) == text


def test_one_person_keeps_one_number_however_the_data_is_written(row, batch):
    rows = batch([row("Ann@Firma.de and bob@firma.de", prompt="ann@firma.de wrote")])
    outcome = personal_data(rows, PersonalDataSettings())
    assert outcome.contents.to_pylist() == ["<EMAIL_1> wrote", "<EMAIL_1> and <EMAIL_2>"]
    assert outcome.remarks == [(0, "personal_data_masked", 3.0, "email ×3 (a…e, 12 characters)")]


def test_each_kind_has_its_mode(row, batch):
    rows = batch([row("ann@firma.de"), row("84.17.45.201", position=1), row("3c:22:fb:7a:91:0e", position=2)])
    outcome = personal_data(rows, PersonalDataSettings(email="drop", ip_address="report", mac_address=None))
    assert [(failure.position, failure.reason) for failure in outcome.failures] == [(0, "personal_data")]
    assert [(remark.position, remark.reason) for remark in outcome.remarks] == [(1, "personal_data_found")]
    assert outcome.contents is None


def test_without_the_extra_the_settings_say_what_to_install(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValidationError, match=r"pip install 'tunesmith\[pii\]'"):
        PersonalDataSettings()
    assert PersonalDataSettings(**dict.fromkeys(BY_PRESIDIO)).email == "mask"


@pytest.mark.real_data
def test_hostile_strings_are_read_without_a_crash(real_data: Path, row, batch) -> None:
    strings = json.loads((real_data / "blns/blns.json").read_text())
    rows = batch([row(text, position=number) for number, text in enumerate(strings)])
    assert len(personal_data(rows, PersonalDataSettings()).remarks) <= 3
