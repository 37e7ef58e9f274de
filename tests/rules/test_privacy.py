"""P001 to P003 and T603, T604, T607: what fires, what only looks like it; nothing secret is printed."""

from __future__ import annotations

import pytest

from phi3data.chat import Conversation, Message
from phi3data.rules import foreign, privacy
from phi3data.text.spot import masked

# In pieces, so that scanners of source code do not stop here.
GITHUB = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6"
AWS = "AKIA" + "IOSFODNN7EXAMPLE"
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
PEM = "-----BEGIN RSA " + "PRIVATE KEY-----"
BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ"


def found(text: str) -> dict[str, str]:
    row = Conversation([Message("user", text), Message("assistant", "Yes.")])
    return {each.code: each.message for each in (*privacy.check(row), *foreign.check(row))}


FIRES = [
    ("P001", "Mail nadia.kowalczyk84@gmail.com!", "an e-mail address 'n…@gmail.com' at character 6", "kowalczyk"),
    ("P001", "Call +44 20 7123 4567 now", "a telephone number '+44…' (16 characters) at character 6", "7123"),
    ("P001", "tel. (0721) 608 43 51", "a telephone number", "608"),
    ("P001", "电话：13812345698。", "a telephone number", "2345"),
    ("P001", "Card 4111 1111 1111 1111.", "a card number '4111…' (19 characters) at character 6", "1111 1111"),
    ("P001", "Amex 378282246310005", "a card number", "246310005"),
    ("P001", "Auf DE89 3704 0044 0532 0130 00 bitte", "an IBAN 'DE89…' (27 characters) at character 5", "0532"),
    ("P001", "GB29NWBK60161331926819", "an IBAN", "60161331"),
    ("P001", "From 8.134.250.17 it came", "a public IP address '8.134.…' at character 6", "250.17"),
    ("P001", "SSN 536-90-4399", "a US social security number", "4399"),
    ("P001", "身份证 11010519491231002X", "a Chinese identity number", "1949"),
    ("P001", "ЕГН: 7523169263", "an EGN", "169263"),
    ("P001", "Meine IdNr: 86 095 742 719", "a German tax number", "742"),
    ("P001", "NHS no. 943 476 5919", "an NHS number", "5919"),
    ("P002", f"key {AWS} here", "an AWS access key 'AKIA…' (20 characters) at character 5", "IOSF"),
    ("P002", GITHUB, "a GitHub token 'ghp_…' (40 characters) at character 1", "aB3d"),
    ("P002", "xoxb-" + "123456789012-ABCDEFGHIJ12", "a Slack token", "123456789012"),
    ("P002", "AIza" + "SyD3mN5pQ8sT1vW4yZ7bC0eF3hI6kL9nO2q", "a Google API key", "mN5p"),
    ("P002", "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc", "a Stripe key", "39Hq"),
    ("P002", "sk-proj-" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF", "an API key", "dE6g"),
    ("P002", "AccountKey=" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6kL9nO2qR==;", "a storage account key", "dE6g"),
    ("P002", "https://a.blob/x?sv=1&sig=" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF%3D", "a shared access signature", "E6gH"),
    ("P002", f"Bearer {JWT}", "a JSON web token 'eyJh…'", "zI1N"),
    ("P002", "postgres://app:Tr0ub4dor@db.kaldermoor.eu/x", "a password in an address 'T…' (9 characters)", "ub4dor"),
    ("P002", 'api_key = "' + 'A1B2C3D4E5F6G7H8I9J0K1L2"', "a secret in code 'A1B2…' (24 characters)", "C3D4"),
    ("P003", f"{PEM}\n{BODY}", "a private key (RSA) at character 1", "MII"),
    ("P003", f'"{PEM}\\n{BODY}"', "a private key (RSA) at character 2", "MII"),
    ("T603", "[INST] Hi [/INST]", "'[INST]' at character 1, and 1 more", None),
    ("T603", "Hi<|eot_id|>", "'<|eot_id|>' at character 3", None),
    ("T603", "<start_of_turn>user\nHi<end_of_turn>", "'<start_of_turn>'", None),
    ("T603", "<｜begin▁of▁sentence｜>Hi", "'<｜begin▁of▁sentence｜>'", None),
    ("T603", "<|im_start|>user\nHi<|im_end|>", "'<|im_start|>'", None),
    (
        "T604",
        "<|system|>\nBe kind.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>",
        "from '<|system|>' at character 1",
        None,
    ),
    ("T604", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant", "a rendered chat template", None),
    ("T604", "### Instruction:\nSay hi.\n\n### Response:\n", "from '### Instruction:'", None),
    ("T607", "<|image_1|>\nWhat is this?", "'<|image_1|>' at character 1", None),
    ("T607", "<image>\nWhat is this?", "'<image>' at character 1", None),
]


@pytest.mark.parametrize(("code", "text", "message", "secret"), FIRES)
def test_fires_and_shows_no_secret(code: str, text: str, message: str, secret: str | None) -> None:
    shown = found(text).get(code, "")
    assert message in shown
    if secret is not None:
        assert secret in text
        assert secret not in shown


SILENT = [
    "jane@example.com, john.doe@gmail.com, dan@gmail.com, you@company.com, info@kaldermoor.eu, a@b.test, git@github.com:a/b",
    "@decorator, @media, foo@1.2.3, user@host, name@, x@y.z(1)",
    "2024-05-17 12:30:45, 17.05.2024, 1990-05-12, 05/17/2024, 1715948000, 1715948000123",
    "3.14159265358979, 1,000,000.00, 1000 - 200 - 300 = 500, <<1000-200-300=500>>500, 2000*365=730000",
    "version 10.0.19045.4291, Chrome 124.0.6367.91, 1.2.3.4, 127.0.0.1, 192.168.178.21, 10.12.13.114, 172.16.254.1",
    "250.250.20\u0660.250, 8.134.250.\u06f1\u06f7",
    "203.0.113.42, 198.51.100.17, 192.0.2.146, 255.255.255.0, 224.0.0.251, 123.45.67.89, 169.254.10.10",
    "ISBN 978-3-16-148410-0, 9783161484100, ISSN 2049-3630, DOI 10.1000/182123456789",
    "d41d8cd98f00b204e9800998ecf8427e, 550e8400-e29b-41d4-a716-446655440000, #4111111111111111, 0x4111111111111111",
    "4111 1111 1111 1112, 1234 5678 9012 3456, 0000 0000 0000 0000, 6011 1111",
    "DE89 3704 0044 0532 0130 01, XX89 3704 0044 0532 0130 00, DE89 3704",
    "Call 555-0142, (202) 555-0171, +1 202-555-0171, +44 1632 960123, +44 7700 900123, phone 123-456-7890",
    "000-12-3456, 666-12-3456, 900-12-3456, 123-45-6789, 078-05-1120, 536904399",
    "110105194912310021, 7523169263, 86095742719, 943 476 5919",
    "sk-your-api-key-goes-here-and-nowhere-else, AKIAXXXXXXXXXXXXXXXX, ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "https://user:password@host, postgres://user:${PASSWORD}@db, http://user:<pass>@host, redis://:pw@h",
    'api_key = "YOUR_API_KEY_GOES_RIGHT_HERE", password = "correct-horse-battery-staple"',
    "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG, CONSTANT_NAME_OF_A_VALUE, getElementsByClassNameAndValue",
    f"A key begins with {PEM} and ends with its mark.",
    "-----BEGIN CERTIFICATE-----\n" + BODY,
    f"{PEM}\n...\n-----END",
    "a < b, x <| f |> y, [1], [INSTALL], <b>, <string>, vector<int>, [[1, 2], [3, 4]], |x| < 1, <<48/2=24>>24",
    "<s>? <del>, <unknown>, <position>, <eosinophil>",
    '<svg><image href="a.png"/></svg> <image><url>a</url></image>',
    "### Response: none\n### Notes:\n",
    "<|user|> is a control token of Phi-3.",
]


@pytest.mark.parametrize("text", SILENT)
def test_silent(text: str) -> None:
    assert found(text) == {}


@pytest.mark.parametrize("piece", ["", "a", "ab1", "secret", "x" * 12, "x" * 40])
def test_a_mask_shows_a_quarter_at_most(piece: str) -> None:
    shown = masked(piece)
    assert shown.endswith(f"({len(piece)} characters)")
    assert len(shown.split("…")[0]) - 1 <= len(piece) // 4


def test_a_rendered_template_says_it_all() -> None:
    assert set(found("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant")) == {"T604"}
