"""Mails as programs write them, in eight languages: what was sent, and the message that a person sees in it.

All of them are made up. ``python -m tests.support.mails`` says what is found in each half of them.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from recommender.items import CollectionSettings
from recommender.message import Messages


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
        """Whether it was set aside before the rules were tuned."""
        return hashlib.sha256(self.name.encode()).digest()[0] % 2 == 1


_LANGUAGES = {
    "en": {
        "body": "The lamp that came on Tuesday flickers when I turn it up.\nWhat can I do about it?",
        "quoted": "Thank you for your order number 5518.\nWe will send it within two days.",
        "gmail": "On Mon, May 4, 2026 at 9:14 AM Fernhill Shop <shop@fernhill.example> wrote:",
        "apple": "On 4 May 2026, at 09:14, Fernhill Shop <shop@fernhill.example> wrote:",
        "thunderbird": "On 04/05/2026 09:14, Fernhill Shop wrote:",
        "outlook": "From: Fernhill Shop <shop@fernhill.example>\nSent: Monday, May 4, 2026 9:14 AM\nTo: Kim Aster <kim@aster.example>\nSubject: Your order 5518",
        "original": "-----Original Message-----",
        "forward_gmail": "---------- Forwarded message ---------\nFrom: Fernhill Shop <shop@fernhill.example>\nDate: Mon, May 4, 2026 at 9:14 AM\nSubject: Your order 5518\nTo: Kim Aster <kim@aster.example>",
        "forward_apple": "Begin forwarded message:\n\nFrom: Fernhill Shop <shop@fernhill.example>\nSubject: Your order 5518\nDate: 4 May 2026 at 09:14:02 BST\nTo: Kim Aster <kim@aster.example>",
        "closing": "Kind regards,",
        "phone": "Phone: +44 20 7946 0991",
        "mobile": "Sent from my iPhone",
        "outlook_mobile": "Get Outlook for iOS",
        "disclaimer": "This email and any attachments are confidential and intended solely for the person to whom they are addressed. If you have received it in error, please notify the sender and delete it.",
        "banner": "CAUTION: This email originated from outside of the organization. Do not click links unless you recognize the sender.",
        "note": "This is an automatically generated message. Please do not reply to this address.",
        "prefix": "RE: [EXTERNAL] ",
        "subject": "Lamp flickers",
    },
    "de": {
        "body": "Die Lampe, die am Dienstag kam, flackert beim Aufdrehen.\nWas kann ich dagegen tun?",
        "quoted": "Vielen Dank für Ihre Bestellung 5518.\nWir liefern innerhalb von zwei Tagen.",
        "gmail": "Am Mo., 4. Mai 2026 um 09:14 Uhr schrieb Fernhill Shop <shop@fernhill.example>:",
        "apple": "Am 04.05.2026 um 09:14 schrieb Fernhill Shop <shop@fernhill.example>:",
        "thunderbird": "Am 04.05.26 um 09:14 schrieb Fernhill Shop:",
        "outlook": "Von: Fernhill Shop <shop@fernhill.example>\nGesendet: Montag, 4. Mai 2026 09:14\nAn: Kim Aster <kim@aster.example>\nBetreff: Ihre Bestellung 5518",
        "original": "-----Ursprüngliche Nachricht-----",
        "forward_gmail": "---------- Forwarded message ---------\nVon: Fernhill Shop <shop@fernhill.example>\nDate: Mo., 4. Mai 2026 um 09:14 Uhr\nSubject: Ihre Bestellung 5518\nTo: Kim Aster <kim@aster.example>",
        "forward_apple": "Anfang der weitergeleiteten Nachricht:\n\nVon: Fernhill Shop <shop@fernhill.example>\nBetreff: Ihre Bestellung 5518\nDatum: 4. Mai 2026 um 09:14:02 MESZ\nAn: Kim Aster <kim@aster.example>",
        "closing": "Mit freundlichen Grüßen",
        "phone": "Telefon: 030 5550 199",
        "mobile": "Von meinem iPhone gesendet",
        "outlook_mobile": "Outlook für Android beziehen",
        "disclaimer": "Diese E-Mail enthält vertrauliche Informationen und ist ausschließlich für den Adressaten bestimmt. Wenn Sie nicht der richtige Empfänger sind, informieren Sie bitte den Absender und löschen Sie diese Nachricht.",
        "banner": "ACHTUNG: Diese E-Mail stammt von außerhalb der Organisation. Öffnen Sie keine Anhänge, wenn Sie den Absender nicht kennen.",
        "note": "Diese E-Mail wurde automatisch erzeugt. Bitte antworten Sie nicht auf diese Nachricht.",
        "prefix": "AW: WG: ",
        "subject": "Lampe flackert",
    },
    "fr": {
        "body": "La lampe arrivée mardi clignote quand je monte la lumière.\nQue puis-je faire ?",
        "quoted": "Merci pour votre commande 5518.\nNous l'expédierons sous deux jours.",
        "gmail": "Le lun. 4 mai 2026 à 09:14, Fernhill Shop <shop@fernhill.example> a écrit :",
        "apple": "Le 4 mai 2026 à 09:14, Fernhill Shop <shop@fernhill.example> a écrit :",
        "thunderbird": "Le 04/05/2026 à 09:14, Fernhill Shop a écrit\u00a0:",
        "outlook": "De : Fernhill Shop <shop@fernhill.example>\nEnvoyé : lundi 4 mai 2026 09:14\nÀ : Kim Aster <kim@aster.example>\nObjet : Votre commande 5518",
        "original": "-----Message d'origine-----",
        "forward_gmail": "---------- Forwarded message ---------\nDe : Fernhill Shop <shop@fernhill.example>\nDate: lun. 4 mai 2026 à 09:14\nSubject: Votre commande 5518\nTo: Kim Aster <kim@aster.example>",
        "forward_apple": "Début du message transféré :\n\nDe: Fernhill Shop <shop@fernhill.example>\nObjet: Votre commande 5518\nDate: 4 mai 2026 à 09:14:02 UTC+2\nÀ: Kim Aster <kim@aster.example>",
        "closing": "Bien cordialement,",
        "phone": "Tél. : 01 55 50 01 99",
        "mobile": "Envoyé de mon iPhone",
        "outlook_mobile": "Télécharger Outlook pour Android",
        "disclaimer": "Ce message et ses pièces jointes sont confidentiels et destinés exclusivement à leur destinataire. Si vous l'avez reçu par erreur, merci de le supprimer et d'en avertir l'expéditeur.",
        "banner": "ATTENTION : ce message provient de l'extérieur de l'organisation. N'ouvrez pas les liens d'un expéditeur inconnu.",
        "note": "Ceci est un message automatique, merci de ne pas y répondre.",
        "prefix": "TR : RE : ",
        "subject": "Lampe qui clignote",
    },
    "es": {
        "body": "La lámpara que llegó el martes parpadea al subir la luz.\n¿Qué puedo hacer?",
        "quoted": "Gracias por su pedido 5518.\nLo enviaremos en dos días.",
        "gmail": "El lun, 4 may 2026 a las 9:14, Fernhill Shop (<shop@fernhill.example>) escribió:",
        "apple": "El 4 may 2026, a las 9:14, Fernhill Shop <shop@fernhill.example> escribió:",
        "thunderbird": "El 4/5/26 a las 9:14, Fernhill Shop escribió:",
        "outlook": "De: Fernhill Shop <shop@fernhill.example>\nEnviado el: lunes, 4 de mayo de 2026 9:14\nPara: Kim Aster <kim@aster.example>\nAsunto: Su pedido 5518",
        "original": "-----Mensaje original-----",
        "forward_gmail": "---------- Forwarded message ---------\nDe: Fernhill Shop <shop@fernhill.example>\nDate: lun, 4 may 2026 a las 9:14\nSubject: Su pedido 5518\nTo: Kim Aster <kim@aster.example>",
        "forward_apple": "Inicio del mensaje reenviado:\n\nDe: Fernhill Shop <shop@fernhill.example>\nAsunto: Su pedido 5518\nFecha: 4 de mayo de 2026, 9:14:02 CEST\nPara: Kim Aster <kim@aster.example>",
        "closing": "Un cordial saludo,",
        "phone": "Tel. 91 555 01 99",
        "mobile": "Enviado desde mi iPhone",
        "outlook_mobile": "Obtener Outlook para Android",
        "disclaimer": "Este mensaje es confidencial y va dirigido exclusivamente a su destinatario. Si lo ha recibido por error, le rogamos que lo elimine y avise al remitente.",
        "banner": "PRECAUCIÓN: este correo electrónico se originó fuera de la organización. No abra enlaces de remitentes desconocidos.",
        "note": "Este es un mensaje automático, por favor no responda.",
        "prefix": "RV: RE: ",
        "subject": "La lámpara parpadea",
    },
    "it": {
        "body": "La lampada arrivata martedì sfarfalla quando alzo la luce.\nChe cosa posso fare?",
        "quoted": "Grazie per il suo ordine 5518.\nLo spediremo entro due giorni.",
        "gmail": "Il giorno lun 4 mag 2026 alle ore 09:14 Fernhill Shop <shop@fernhill.example> ha scritto:",
        "apple": "Il giorno 4 mag 2026, alle ore 09:14, Fernhill Shop <shop@fernhill.example> ha scritto:",
        "thunderbird": "Il 04/05/2026 09:14, Fernhill Shop ha scritto:",
        "outlook": "Da: Fernhill Shop <shop@fernhill.example>\nInviato: lunedì 4 maggio 2026 09:14\nA: Kim Aster <kim@aster.example>\nOggetto: Il suo ordine 5518",
        "original": "-----Messaggio originale-----",
        "forward_gmail": "---------- Forwarded message ---------\nDa: Fernhill Shop <shop@fernhill.example>\nDate: lun 4 mag 2026 alle ore 09:14\nSubject: Il suo ordine 5518\nTo: Kim Aster <kim@aster.example>",
        "forward_apple": "Inizio messaggio inoltrato:\n\nDa: Fernhill Shop <shop@fernhill.example>\nOggetto: Il suo ordine 5518\nData: 4 maggio 2026 alle ore 09:14:02 CEST\nA: Kim Aster <kim@aster.example>",
        "closing": "Cordiali saluti",
        "phone": "Cell. 333 555 0199",
        "mobile": "Inviato da iPhone",
        "outlook_mobile": "Scarica Outlook per Android",
        "disclaimer": "Questo messaggio contiene informazioni riservate ed è destinato esclusivamente al destinatario. Se lo ha ricevuto per errore, la preghiamo di cancellarlo e di avvisare il mittente.",
        "banner": "ATTENZIONE: questa e-mail proviene dall'esterno dell'organizzazione. Non aprire collegamenti di mittenti sconosciuti.",
        "note": "Questo è un messaggio automatico, si prega di non rispondere.",
        "prefix": "RE: Fwd: ",
        "subject": "La lampada sfarfalla",
    },
    "nl": {
        "body": "De lamp die dinsdag kwam flikkert als ik hem feller zet.\nWat kan ik daaraan doen?",
        "quoted": "Bedankt voor uw bestelling 5518.\nWe versturen hem binnen twee dagen.",
        "gmail": "Op ma 4 mei 2026 om 09:14 schreef Fernhill Shop <shop@fernhill.example>:",
        "apple": "Op 4 mei 2026, om 09:14 heeft Fernhill Shop <shop@fernhill.example> het volgende geschreven:",
        "thunderbird": "Op 04-05-2026 om 09:14 schreef Fernhill Shop:",
        "outlook": "Van: Fernhill Shop <shop@fernhill.example>\nVerzonden: maandag 4 mei 2026 09:14\nAan: Kim Aster <kim@aster.example>\nOnderwerp: Uw bestelling 5518",
        "original": "-----Oorspronkelijk bericht-----",
        "forward_gmail": "---------- Forwarded message ---------\nVan: Fernhill Shop <shop@fernhill.example>\nDate: ma 4 mei 2026 om 09:14\nSubject: Uw bestelling 5518\nTo: Kim Aster <kim@aster.example>",
        "forward_apple": "Begin doorgestuurd bericht:\n\nVan: Fernhill Shop <shop@fernhill.example>\nOnderwerp: Uw bestelling 5518\nDatum: 4 mei 2026 om 09:14:02 CEST\nAan: Kim Aster <kim@aster.example>",
        "closing": "Met vriendelijke groet,",
        "phone": "T 020 555 0199",
        "mobile": "Verstuurd vanaf mijn iPhone",
        "outlook_mobile": "Outlook voor Android downloaden",
        "disclaimer": "Dit bericht is vertrouwelijk en uitsluitend bestemd voor de geadresseerde. Als u dit bericht ten onrechte hebt ontvangen, verwijder het dan en meld dit aan de afzender.",
        "banner": "LET OP: deze e-mail is afkomstig van buiten de organisatie. Open geen bijlagen van onbekende afzenders.",
        "note": "Dit is een automatisch bericht, gelieve niet te antwoorden.",
        "prefix": "Antw: Fwd: ",
        "subject": "Lamp flikkert",
    },
    "pt": {
        "body": "A lâmpada que chegou na terça pisca quando aumento a luz.\nO que posso fazer?",
        "quoted": "Obrigado pela sua encomenda 5518.\nEnviamos dentro de dois dias.",
        "gmail": "Em seg., 4 de mai. de 2026 às 09:14, Fernhill Shop <shop@fernhill.example> escreveu:",
        "apple": "No dia 4 de mai. de 2026, às 09:14, Fernhill Shop <shop@fernhill.example> escreveu:",
        "thunderbird": "Às 09:14 de 04/05/2026, Fernhill Shop escreveu:",
        "outlook": "De: Fernhill Shop <shop@fernhill.example>\nEnviada em: segunda-feira, 4 de maio de 2026 09:14\nPara: Kim Aster <kim@aster.example>\nAssunto: A sua encomenda 5518",
        "original": "-----Mensagem original-----",
        "forward_gmail": "---------- Forwarded message ---------\nDe: Fernhill Shop <shop@fernhill.example>\nDate: seg., 4 de mai. de 2026 às 09:14\nSubject: A sua encomenda 5518\nTo: Kim Aster <kim@aster.example>",
        "forward_apple": "Início da mensagem reencaminhada:\n\nDe: Fernhill Shop <shop@fernhill.example>\nAssunto: A sua encomenda 5518\nData: 4 de maio de 2026 às 09:14:02 WEST\nPara: Kim Aster <kim@aster.example>",
        "closing": "Com os melhores cumprimentos,",
        "phone": "Tlm. 912 555 019",
        "mobile": "Enviado do meu iPhone",
        "outlook_mobile": "Obter o Outlook para Android",
        "disclaimer": "Esta mensagem é confidencial e destina-se exclusivamente ao seu destinatário. Se a recebeu por engano, por favor apague-a e avise o remetente.",
        "banner": "ATENÇÃO: este e-mail teve origem fora da organização. Não abra ligações de remetentes desconhecidos.",
        "note": "Esta é uma mensagem automática, por favor não responda.",
        "prefix": "ENC: RES: ",
        "subject": "A lâmpada pisca",
    },
    "pl": {
        "body": "Lampa, która przyszła we wtorek, miga przy rozjaśnianiu.\nCo mogę z tym zrobić?",
        "quoted": "Dziękujemy za zamówienie 5518.\nWyślemy je w ciągu dwóch dni.",
        "gmail": "pon., 4 maj 2026 o 09:14 Fernhill Shop <shop@fernhill.example> napisał(a):",
        "apple": "Wiadomość napisana przez Fernhill Shop <shop@fernhill.example> w dniu 4 maj 2026, o godz. 09:14:",
        "thunderbird": "W dniu 04.05.2026 o 09:14, Fernhill Shop pisze:",
        "outlook": "Od: Fernhill Shop <shop@fernhill.example>\nWysłano: poniedziałek, 4 maja 2026 09:14\nDo: Kim Aster <kim@aster.example>\nTemat: Zamówienie 5518",
        "original": "-----Oryginalna wiadomość-----",
        "forward_gmail": "---------- Forwarded message ---------\nOd: Fernhill Shop <shop@fernhill.example>\nDate: pon., 4 maj 2026 o 09:14\nSubject: Zamówienie 5518\nTo: Kim Aster <kim@aster.example>",
        "forward_apple": "Początek przekazywanej wiadomości:\n\nOd: Fernhill Shop <shop@fernhill.example>\nTemat: Zamówienie 5518\nData: 4 maja 2026 o 09:14:02 CEST\nDo: Kim Aster <kim@aster.example>",
        "closing": "Z poważaniem",
        "phone": "tel. 22 555 01 99",
        "mobile": "Wysłane z iPhone'a",
        "outlook_mobile": "Pobierz program Outlook dla systemu Android",
        "disclaimer": "Niniejsza wiadomość jest poufna i przeznaczona wyłącznie dla adresata. Jeżeli otrzymali ją Państwo przez pomyłkę, prosimy o jej usunięcie i powiadomienie nadawcy.",
        "banner": "UWAGA: ta wiadomość pochodzi spoza organizacji. Nie otwieraj załączników od nieznanych nadawców.",
        "note": "To jest wiadomość automatyczna, prosimy na nią nie odpowiadać.",
        "prefix": "Odp: PD: ",
        "subject": "Lampa miga",
    },
}


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
        f"<b>{_html(line.partition(':')[0])}:</b>{_html(line.partition(':')[2])}" for line in said["outlook"].splitlines()
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
    """What the rules find in it, with white space single."""
    return " ".join(Messages().of(mail.text, CollectionSettings()).text.split())


def wrong(mails: list[Mail]) -> list[str]:
    """Names of those in which another message is found."""
    return [mail.name for mail in mails if found(mail) != " ".join(mail.message.split())]


if __name__ == "__main__":
    for kept_back in (False, True):
        mails = [mail for mail in MAILS if mail.kept_back == kept_back]
        print("kept back" if kept_back else "tuned on", len(mails), "wrong:", wrong(mails))
