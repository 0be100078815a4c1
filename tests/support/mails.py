"""Mails as programs write them, in eight languages, each with the message in it.

All of them are made up. ``python -m tests.support.mails`` says what is found in each half of them.
"""
# ruff: noqa: E501  (lines of mark-up are as long as programs write them)

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import NamedTuple

import click

from recommender_engine.items import CollectionSettings
from recommender_engine.message import Messages


class Mail(NamedTuple):
    """A mail.

    Attributes:
        name: language and program.
        text: as it was sent.
        message: what its writer said in it.
    """

    name: str
    text: str
    message: str

    @property
    def kept_back(self) -> bool:
        """Whether it was held out from the tuning of the rules."""
        return hashlib.sha256(self.name.encode()).digest()[0] % 2 == 1


_LANGUAGES: dict[str, dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("mails.toml").read_text(encoding="utf-8")
)


def _quoted(text: str, sign: str = "> ") -> str:
    return "\n".join(sign + line for line in text.splitlines())


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")


def _mso(text: str) -> str:
    return "".join(f"<p class=MsoNormal>{_html(line)}<o:p></o:p></p>" for line in text.splitlines())


def _mails(language: str, said: dict[str, str]) -> list[Mail]:
    body, quoted = said["body"], said["quoted"]
    signature = f"{said['closing']}\n\nKim Aster\nAster & Sons\n{said['phone']}\nwww.aster.example"
    head, _, rest = said["gmail"].partition(" Fernhill Shop")
    wrapped = f"{head}\nFernhill Shop{rest}"
    bold = "<br>".join(
        f"<b>{_html(line.partition(':')[0])}:</b>{_html(line.partition(':')[2])}"
        for line in said["outlook"].splitlines()
    )
    texts = {
        "gmail": f"{body}\n\n{said['gmail']}\n\n{_quoted(quoted)}\n",
        "gmail wrapped": f"{body}\n\n{wrapped}\n\n{_quoted(quoted)}\n>\n>",
        "apple": f"{body}\n\n> {said['apple']}\n> \n{_quoted(quoted)}",
        "apple plain": f"{body}\n\n{said['mobile']}\n\n{said['apple']}\n\n{_quoted(quoted)}",
        "thunderbird below": f"{said['thunderbird']}\n{_quoted(quoted)}\n\n{body}\n",
        "unmarked": f"{body}\n\n{said['gmail']}\n\n{quoted}",
        "outlook": f"{body}\n\n{said['outlook']}\n\n{quoted}\n",
        "outlook ruled": f"{body}\n\n________________________________\n{said['outlook']}\n\n{quoted}\n",
        "outlook starred": f"{body}\n\n"
        + "\n".join(f"*{line.partition(':')[0]}:*{line.partition(':')[2]}" for line in said["outlook"].splitlines())
        + f"\n\n{quoted}",
        "original": f"{body}\n\n{said['original']}\n{said['outlook']}\n\n{quoted}",
        "forwarded with a word": f"{body}\n\n{said['forward_gmail']}\n\n\n{quoted}",
        "forwarded apple": f"{body}\n\n{said['forward_apple']}\n\n{quoted}",
        "sign": f"{body}\n\n-- \nKim Aster\nAster & Sons\n",
        "contact": f"{body}\n\n{signature}",
        "small print": f"{body}\n\n{signature}\n\n{said['disclaimer']}",
        "small print alone": f"{body}\n\n{said['disclaimer']}",
        "mobile": f"{body}\n\n{said['mobile']}",
        "outlook mobile": f"{body}\n\n{said['outlook_mobile']}<https://aka.example/o0ukef>\n________________________________\n{said['outlook']}\n\n{quoted}",
        "banner": f"{said['banner']}\n\n{body}",
        "note": f"{body}\n\n{said['note']}",
        "html gmail": f'<div dir="ltr">{_html(body)}</div><br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">'
        f'{_html(said["gmail"])}<br></div><blockquote class="gmail_quote" style="margin:0">{_html(quoted)}</blockquote></div>',
        "html apple": f'<html><body style="word-wrap:break-word">{_html(body)}<br><div><br><blockquote type="cite"><div>'
        f"{_html(said['apple'])}</div><br><div>{_html(quoted)}</div></blockquote></div></body></html>",
        "html outlook": f'<html><head><style>p.MsoNormal {{margin:0cm}}</style></head><body><div class="WordSection1">'
        f"{_mso(body)}<p class=MsoNormal>&nbsp;</p><div style='border:none;border-top:solid #E1E1E1 1.0pt'><p class=MsoNormal>"
        f"{bold}</p></div>{_mso(quoted)}</div></body></html>",
        "html outlook signature": f'<html><body><div class="WordSection1">{_mso(body)}{_mso(signature)}</div></body></html>',
        "html thunderbird": f'<html><head><meta charset="utf-8"></head><body><p>{_html(body)}</p><div class="moz-cite-prefix">'
        f'{_html(said["thunderbird"])}<br></div><blockquote type="cite" cite="mid:1@fernhill.example"><p>{_html(quoted)}</p>'
        "</blockquote></body></html>",
        "html signature": f'<div dir="ltr"><div>{_html(body)}</div><div>-- <br></div><div class="gmail_signature" dir="ltr">'
        f"{_html(signature)}</div></div>",
    }
    mails = [Mail(f"{language} {program}", text, body) for program, text in texts.items()]
    passed_on = {"gmail": said["forward_gmail"], "apple": said["forward_apple"], "outlook": said["outlook"]}
    for program, head in passed_on.items():
        mails.append(Mail(f"{language} passed on by {program}", f"{head}\n\n{quoted}", quoted))
    mails.append(Mail(f"{language} subject", said["prefix"] + said["subject"], said["subject"]))
    return mails


MAILS = [mail for language, said in _LANGUAGES.items() for mail in _mails(language, said)]


def found(mail: Mail) -> str:
    """The message that the rules find, with single white space."""
    return " ".join(Messages().of(mail.text, CollectionSettings()).text.split())


def wrong(mails: list[Mail]) -> list[str]:
    """Names of those in which another message is found."""
    return [mail.name for mail in mails if found(mail) != " ".join(mail.message.split())]


if __name__ == "__main__":
    for kept_back in (False, True):
        mails = [mail for mail in MAILS if mail.kept_back == kept_back]
        click.echo(f"{'kept back' if kept_back else 'tuned on'}: {len(mails)}, wrong: {wrong(mails)}")
