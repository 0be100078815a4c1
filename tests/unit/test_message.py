"""What of a text is compared: mark-up is read, and what programs put around a message is cut."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender_engine.errors import ConfigurationError
from recommender_engine.items import CUT_RULES, CollectionSettings, Item
from recommender_engine.message import Messages
from recommender_engine.message.elements import MOST_TAGS, is_html
from recommender_engine.message.message import MOST_LINES
from recommender_engine.text import clean
from tests.support.mails import MAILS, wrong

SETTINGS = CollectionSettings()
MESSAGES = Messages()
SMALL_PRINT = "This mail is confidential. If you are not the intended recipient, delete it and tell the sender at once."
LAMP = "The lamp that came on Tuesday flickers all the time."


def said(text: str, **settings: object) -> str:
    return MESSAGES.of(text, CollectionSettings.model_validate(settings)).text


def rules_of(text: str) -> list[str]:
    return [cut.rule for cut in MESSAGES.of(text, SETTINGS).cuts]


# -- mails -------------------------------------------------------------------------------------------------------------


def test_the_message_is_found_in_mails_of_eight_languages() -> None:
    assert wrong([mail for mail in MAILS if not mail.kept_back]) == []


def test_and_in_those_that_were_kept_back() -> None:
    kept_back = [mail for mail in MAILS if mail.kept_back]
    assert len(kept_back) > 100
    assert len(wrong(kept_back)) <= 1  # reported in the record of the decision; nothing was tuned on them


# -- what is no mark-up ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d",
        "I <3 this, 5 > 3 and 2 < 4",
        "List<int> rows; Map<String, List<A>> table",
        "std::vector<p> a; Foo<B> b; Set<S> c",
        "<T> void sort(List<T> rows)",
        "Use <br> for a line break and <p> for a paragraph",
        "The <div> is not closed",
        "Steps:\nrender <div>one</div>\nthen look",
        "write `<b>` and `</b>` around it",
        "<project><name>one</name><version>1</version></project>",
        "<soap:Body><m:price>1</m:price></soap:Body>",
        "java.lang.Error\n at a.b.<init>(A.java:3)\n at c.<clinit>(C.java)",
        "from Kim <kim@aster.example> about <https://aster.example/a>",
        "if (a<b && c>d) return x<y>(z);",
        "$ cat a\n> out\n> err\n$ ls",
        "> 500 lm\n> 20 h",
        "< old line of text here\n> new line of text here\n> and one more line",
        "x <br> y <br> z",
        "<!-- only a comment",
        "AT&T; Q&A; a&b",
        "?a=1&copy=2&lt=3",
        "Re:Zero volume 3",
        "re : launch carrara",
        "select 1 -- the sign of a comment\nfrom t",
        "Thanks,\nKim",
        "From: the top\nto the bottom",
        "On Monday the customer wrote: it is broken",
        "Confidential: the lamp flickers",
    ],
)
def test_texts_with_signs_code_and_traces_are_compared_as_they_are(text: str) -> None:
    item = Item(id="a", text=text)
    assert MESSAGES.compared(item, SETTINGS) is item


@given(st.text(alphabet=st.characters(blacklist_characters="<&", blacklist_categories=("Cs",)), max_size=200))
def test_one_line_without_mark_up_is_compared_as_it_is(text: str) -> None:
    line = "The lamp " + " ".join(text.split())
    assert said(line) == line


@given(st.text(max_size=200))
def test_something_is_always_left(text: str) -> None:
    if clean(text):
        assert clean(said(text))


@given(st.lists(st.sampled_from([mail.text for mail in MAILS[:60]]), min_size=1, max_size=3))
def test_what_is_kept_and_what_is_cut_is_all_that_is_seen(texts: list[str]) -> None:
    found = MESSAGES.of("\n".join(texts), SETTINGS)
    place, kept = 0, []
    for cut in found.cuts:
        assert found.visible[cut.start : cut.end] == cut.passage
        assert place <= cut.start < cut.end
        kept.append(found.visible[place : cut.start])
        place = cut.end
    assert "".join([*kept, found.visible[place:]]).strip() == found.text.strip()


# -- mark-up -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>Hello,&nbsp;the lamp &amp; the lid</p><p>Kim</p>", "Hello, the lamp & the lid Kim"),
        ("Hello,<br>the lamp<br/>flickers", "Hello, the lamp flickers"),
        ("Dear team,<div>it is late</div><div>Kim</div>", "Dear team, it is late Kim"),
        ("<p>if a < b then List<int> grows</p>", "if a < b then List<int> grows"),
        ("<div>one<!-- two --><style>p {x}</style><script>three</script> four</div>", "one four"),
        ("<div>one <span style='display:none'>preheader</span>two</div>", "one two"),
        ("<html><head><title>No</title></head><body>Yes<o:p></o:p></body></html>", "Yes"),
        ("<!--[if gte mso 9]><xml>no</xml><![endif]--><p>one</p><p>two</p>", "one two"),
        ("&lt;p&gt;one&lt;/p&gt;", "one"),
        ("22&quot; screen &amp; cable", '22" screen & cable'),
        ("<table><tr><td>Colour</td><td>red</td></tr><tr><td>Size</td><td>4</td></tr></table>", "Colour red Size 4"),
        ("A <b>refurbished</b> phone", "A refurbished phone"),
        ("<UL><LI>one<LI>two</UL>", "one two"),
    ],
)
def test_mark_up_is_read(text: str, expected: str) -> None:
    assert clean(said(text)) == expected
    assert said(text, cut=[]) == text


def test_a_mail_as_html_and_as_text_says_the_same() -> None:
    plain = "Hello, my parcel has not arrived & nothing is shown. Regards, Kim"
    marked = "<p>Hello,&nbsp;my parcel has <b>not</b> arrived &amp; nothing is shown.</p><p>Regards, Kim</p>"
    assert clean(said(marked)) == clean(said(plain)) == plain


def test_html_in_which_nothing_is_to_be_seen_is_compared_as_it_is() -> None:
    for text in ("<p><img src='cid:1'></p>", "<html><body></body></html>", "<div><script>x</script></div>"):
        assert said(text) == text


def test_what_is_nested_too_deep_or_has_too_many_tags_is_compared_as_it_is() -> None:
    for text in ("<div>" * 500 + "x" + "</div>" * 500, "<b>x</b>" * MOST_TAGS):
        assert said(text) == text
    assert said("<div>" * 300 + "x" + "</div>" * 300) == "x"
    assert is_html("<b>x</b>" * (MOST_TAGS // 2))


# -- cuts --------------------------------------------------------------------------------------------------------------


def test_each_rule_has_a_name_and_can_be_switched_off() -> None:
    texts = {
        "subject_prefixes": f"Re: [EXT] AW: {LAMP}",
        "quotes": f"{LAMP}\n\nOn Mon, the shop wrote:\n> We will send it soon, dear customer.",
        "forwards": f"{LAMP}\n\n---------- Forwarded message ---------\nFrom: a\nDate: b\nSubject: c\n\nHere.",
        "signatures": f"{LAMP}\n\n-- \nKim Aster\nTel 555 0100",
        "disclaimers": f"{LAMP}\n\nThis message is confidential. If you received it in error, delete it.",
        "auto_replies": f"{LAMP}\n\nThis is an automated message, please do not reply.",
    }
    assert {*texts, "markup"} == set(CUT_RULES)
    for rule, text in texts.items():
        assert said(text) == LAMP
        assert rules_of(text) == [rule]
        assert said(text, cut=[one for one in CUT_RULES if one != rule]) == text


def test_where_nothing_would_be_left_the_text_is_compared_as_it_is() -> None:
    for text in (
        "I am out of office until Monday without access to mail.",
        "On Mon, 4 May 2026 at 09:14 Kim wrote:\n> The lamp flickers a lot.\n> What can I do?",
        "see below\n\nOn Mon, 4 May 2026 at 09:14 Kim wrote:\n> The lamp flickers a lot.",
        "Re: ",
    ):
        assert said(text) == text


def test_a_mail_that_was_passed_on_with_hardly_a_word_is_the_message() -> None:
    head = "From: Kim <kim@aster.example>\nSent: Monday\nTo: Help\nSubject: Lamp\n\n"
    assert clean(said(f"FYI\n\n{head}{LAMP}")) == f"FYI {LAMP}"
    remark = "Please have a look at this one today, the lamp is new."
    assert said(f"{remark}\n\n{head}{LAMP}") == remark


def test_answers_between_quotations_stay() -> None:
    first, second = "> Does it flicker?", "> Does the other one, too?\n> Please tell us soon."
    text = f"On Mon, Kim wrote:\n{first}\nYes, since Tuesday, all the time.\n{second}\nNo, it works."
    assert clean(said(text)) == "Yes, since Tuesday, all the time. No, it works."


@pytest.mark.parametrize(
    "text",
    [
        "ok\n\nOn Mon, 3 Mar 2025 at 10:00, Ann <a@shop.example> wrote:\n> The {} does not start.\n> What shall I do?",
        "Please see below\n\n-----Original Message-----\nFrom: Ann\nSent: Monday\nTo: Help\nSubject: {}\n\nIt is {}.",
        "Please cancel my order\n\nBest regards\nAnn Smith\n+49 30 1234567\nOrder number: 4711-{}",
        "Printer is broken.\nThanks\nPS: the error is {}\nserial number 1234-5678-90",
        "The query is slow:\n-- \nSELECT name FROM {} WHERE tel = '555-123-4567'",
        "Disk alert\n\nThis is an automated message, please do not reply. Host {} is full.",
        "Das geht nicht\n\nAm 3. März 2025 um 10:00 schrieb Anna:\n> Der {} startet nicht.\n> Was kann ich tun?",
    ],
)
def test_a_short_remark_above_two_things_is_not_the_same_twice(text: str) -> None:
    assert said(text.replace("{}", "router")) != said(text.replace("{}", "kettle"))


def test_a_name_or_a_device_below_a_short_remark_is_cut() -> None:
    assert said("It is broken.\n\nSent from my iPhone") == said("It is broken.\n\n-- \nKim") == "It is broken."


@pytest.mark.parametrize(
    "text",
    [
        f"<p>{LAMP}</p>\n-- \nAnn",
        f"<p>{LAMP}</p>\r\n\r\n-- \r\nAnn\r\nTel 555 0100\r\n",
        f"<html><body><p>{LAMP}</p></body></html>\n-- \nAnn",
        f'<!DOCTYPE html PUBLIC "x"\n "y">\n<html><body>\n<p>{LAMP}</p>\n</body></html>\n\n-- \nAnn <a@shop.example>',
        f"<div>{LAMP}</div>\n\nKind regards\nAnn\nTel 555 0100 22",
        f"<div>{LAMP}</div>\nSent from my iPhone\n",
        f"<p>{LAMP}</p>\n\nOn Mon, 4 May 2026 at 09:14 Kim wrote:\nIt is on its way to you.",
        f"{LAMP.replace('lamp', '<b>lamp</b>')}\n-- \n<b>Ann</b>\nTel 555 0100",
        f"{LAMP.replace(' ', '<br>')}\n-- \nAnn",
        f"<p>{LAMP}</p><p>-- <br>Ann</p>",
        f"<p>{LAMP}\n<p>\n-- \nAnn",
        f"<div><p>{LAMP}</div>\n<div/>\n-- \nAnn",
        f"<div>{LAMP}</div><div>--&nbsp;</div><div>Ann</div>",
    ],
)
def test_what_is_plain_below_mark_up_is_cut_by_its_lines(text: str) -> None:
    assert clean(said(text)) == LAMP


@pytest.mark.parametrize(
    "below",
    [
        "<p class=MsoNormal>Kind regards</p><p class=MsoNormal>Ann<br>Tel. 5550122</p><p class=MsoNormal>{print}</p>",
        "<p class=MsoNormal>Thank you in advance</p><p class=MsoNormal>Ann<br>Tel. 555 0100 22<br>{print} {earth}</p>",
        "<p class=MsoNormal>{print}</p><p class=MsoNormal>Regards</p><p class=MsoNormal>Ann<br>Tel. 555 0100 22</p>",
        "<p class=MsoNormal>{print} {print} {earth}</p>",
        "<p class=MsoNormal>{print}</p><p class=MsoNormal>{earth}</p>",
    ],
)
def test_what_an_office_program_sets_below_a_message_is_cut(below: str) -> None:
    """Its paragraphs stand close together, its empty lines hold one blank that does not break."""
    earth = "Please consider the environment before printing."
    blank = "<p class=MsoNormal><o:p>&nbsp;</o:p></p>"
    head = f"<html><body><p class=MsoNormal>Hello,</p>{blank}<p class=MsoNormal>{LAMP}</p>{blank}"
    text = f"{head}{below.format(print=SMALL_PRINT, earth=earth)}</body></html>"
    assert clean(said(text)) == f"Hello, {LAMP}"


def test_of_a_paragraph_that_says_something_only_the_small_print_is_cut() -> None:
    assert said(f"Hello,\n\n{LAMP} It is bright in the morning.\n{SMALL_PRINT}").endswith("in the morning.")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("<p>The lamp\nflickers</p>", 1),
        ("<div>\n<p>The lamp</p>\n\n<p>flickers</p>\n</div>", 3),
        ("The lamp<br>\nflickers<br />\nall the time", 3),
        ("The <b>lamp</b>\nflickers <i>all</i> the time", 2),
        ("<ul>\n<li>The lamp\n<li>flickers\n</ul>", 2),
        ("<table>\n<tr>\n<td>The lamp</td>\n<td>flickers</td>\n</tr>\n</table>", 1),
    ],
)
def test_line_ends_in_blocks_and_beside_breaks_are_blanks(text: str, lines: int) -> None:
    assert len(said(text, cut=["markup"]).splitlines()) == lines


@pytest.mark.parametrize(
    "title",
    [
        "TR: 90 mm fork",
        "PD: 65 W charger",
        "VS: 2",
        "SV: 40-60 kg",
        "RES: 1080p webcam",
        "Enc: AES-256 drive",
        "Réf: 4711 Lampe",
        "VID: 0x04d9",
        "FW: 2.3.1 breaks the lamp",
        "RE: 90 mm fork",
        "fw: 20 mm flange",
        "AW: 16oz",
        "TR: fork",
    ],
)
def test_a_word_before_a_title_is_no_mark_of_a_mail(title: str) -> None:
    assert said(title) == title
    assert said(f"{title}\nFits a wheel of 26 inches.") == f"{title}\nFits a wheel of 26 inches."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TR: Lampe qui clignote", "Lampe qui clignote"),
        ("TR : La commande\nn'est pas là", "La commande\nn'est pas là"),
        ("ENC: RES: 4711", "4711"),
        ("[EXT] TR: 90 mm", "90 mm"),
        ("TR[2]: 90 mm", "90 mm"),
        ("Re: TR: 90 mm fork", "90 mm fork"),
        ("Re: 4711", "4711"),
        ("FW: 2 lamps flicker", "2 lamps flicker"),
        (f"TR: 90 mm fork\n{LAMP}\n\n-- \nAnn", f"90 mm fork\n{LAMP}"),
        (f"TR: 90 mm fork\n{LAMP}\n\nSent from my iPhone", f"90 mm fork\n{LAMP}"),
    ],
)
def test_a_prefix_goes_before_a_subject_and_in_a_mail(text: str, expected: str) -> None:
    assert said(text) == expected


def test_the_fields_of_an_item_tell_whether_it_is_a_mail_or_a_product() -> None:
    body = {"body": f"{LAMP}\n\nSent from my iPhone"}
    for title, others, expected in [
        ("TR: 90 mm fork", {}, "TR: 90 mm fork"),
        ("TR: 90 mm fork", body, "90 mm fork"),
        ("Re: Zero", {"brand": "Fern"}, "Re: Zero"),
        ("TR: sturdy fork", {"Preis": "12"}, "TR: sturdy fork"),
        ("[EXTERNAL] hard disk", {"sku": "4711"}, "[EXTERNAL] hard disk"),
        ("Re: Fwd: Zero", {"brand": "Fern"}, "Zero"),
    ]:
        item = Item(id="a", fields={"title": title, **others})
        assert (MESSAGES.compared(item, SETTINGS).fields or {})["title"] == expected
        assert bool([cut for cut in MESSAGES.cuts(item, SETTINGS) if cut.field == "title"]) == (title != expected)
    mail = Item(id="a", fields={"Betreff": "WG: 90 mm", "Preis": "12"})
    assert MESSAGES.compared(mail, SETTINGS).fields == {"Betreff": "90 mm", "Preis": "12"}


def test_fields_are_cut_one_by_one() -> None:
    item = Item(
        id="a", fields={"subject": "Fwd: Re: Invoice", "body": f"{LAMP}\n\nSent from my iPhone", "brand": "Fern"}
    )
    compared = MESSAGES.compared(item, SETTINGS)
    assert compared.fields == {"subject": "Invoice", "body": LAMP, "brand": "Fern"}
    assert [(cut.field, cut.rule) for cut in MESSAGES.cuts(item, SETTINGS)] == [
        ("subject", "subject_prefixes"),
        ("body", "signatures"),
    ]


def test_a_form_of_a_bug_tracker_stays_whole() -> None:
    form = "### Describe the bug\nIt flickers\n\n### Steps\n1. Open it\n2. See error\n\n### Environment\nOS: Windows 11"
    assert said(form) == form


# -- rules of one's own ------------------------------------------------------------------------------------------------


def test_a_file_of_ones_own_adds_phrases_and_makes_other_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('[signatures]\nsent_from = ["Sent by my fridge"]\n', encoding="utf-8")
    own = Messages(path)
    text = f"{LAMP}\n\nSent by my fridge"
    assert (own.of(text, SETTINGS).text, said(text)) == (LAMP, text)
    assert own.identity(SETTINGS) != MESSAGES.identity(SETTINGS)
    assert Messages().identity(SETTINGS) == MESSAGES.identity(SETTINGS)
    assert MESSAGES.identity(CollectionSettings(cut=("markup",))) != MESSAGES.identity(SETTINGS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[signatures]\nnames = ['x']", "there is no rule"),
        ("[signatures]\nsent_from = 'x'", "must be a list of texts"),
        ("[disclaimers]\ngroups = ['x']", "must be a list of lists of texts"),
        ("signatures = 1", "must be a table"),
        ("[", "cannot be read"),
        ("x = " + "[" * 10_000, "nested too deep"),
    ],
)
def test_a_file_that_holds_no_rules_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        Messages(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Messages(tmp_path / "none.toml")


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_a_long_list_is_no_mail() -> None:
    text = "\n".join(["Sent from my iPhone"] * (MOST_LINES + 1)) + f"\n{LAMP}"
    assert said(text) == text
