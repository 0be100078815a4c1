"""Texts written for trials of the matcher: reports of three incidents, and tickets that people sent twice."""

from __future__ import annotations

INCIDENTS = (
    (
        "Since this morning the app only shows a white screen after I enter my passcode.",
        "App is blank after login today, nothing loads at all.",
        "I put in my code and then get an empty white page in your app. It worked yesterday.",
        "White screen in the mobile app right after signing in, restarting the phone did not help.",
        "Hi, can't see anything in the app, it stays white once I've typed the passcode.",
        "The application does not load past the passcode, only a blank page. Started today.",
        "After today's sign-in my app stays completely white. Reinstalled it, same thing.",
        "Is the app down? It lets me log in but then it is just a blank white screen.",
    ),
    (
        "The cash machine at Central Station kept my card and gave no money.",
        "Your ATM in the central station swallowed my card at noon.",
        "My card is stuck in the cash machine at Central Station, no cash came out either.",
        "Central Station ATM has taken my bank card and shows out of order.",
        "I tried to withdraw at the central station and the machine did not return the card.",
        "The machine at Central Station ate my card, it says temporarily out of service now.",
        "Card not given back by the ATM at the central railway station. Others have the same problem.",
        "Hello, the cash dispenser in Central Station just retained my card without paying anything out.",
    ),
    (
        "Every card payment in shops has been declined since about 2 pm.",
        "My card is being refused at all tills this afternoon although there is money in the account.",
        "Payments by card do not go through anywhere this afternoon, three shops declined it.",
        "Card declined in the supermarket and at the petrol station, it started around two o'clock.",
        "Is there an outage? No shop accepts my card since early afternoon.",
        "Since 14:00 all my contactless and chip payments get rejected at the terminal.",
        "I could not pay anywhere this afternoon, terminals keep saying declined. Balance is fine.",
        "All purchases with my debit card are turned down since this afternoon, please fix your system.",
    ),
)
"""Three outages, each reported by eight people in their own words."""

SENT_TWICE = (
    ("The coffee machine on the third floor leaks, there is a puddle under it every morning.",
     "There is water under the third floor coffee maker each morning, I think it leaks."),
    ("My parcel 55120987 has shown no movement for nine days. Where is it?",
     "Could you tell me where parcel 55120987 is? Tracking has not changed in nine days."),
    ("Please cancel my subscription to the print edition at the end of the month.",
     "I would like to end the print edition subscription when this month is over."),
    ("The invoice of May lists twelve licences, but we only use ten.",
     "We were billed for twelve licences in May although only ten are in use."),
    ("I cannot open the shared drive of the marketing team, access denied.",
     "Access is denied when I try to get onto marketing's shared drive."),
    ("The left speaker of the headset I bought last week makes a crackling noise.",
     "Bought a headset a week ago and there is crackling on the left side."),
    ("Our meeting room display on level two does not switch on any more.",
     "The screen in the level two meeting room stays dark, it won't turn on."),
    ("Export to Excel ends with a timeout when I select the whole year.",
     "When exporting the full year to Excel I always run into a timeout."),
    ("I was charged twice for the annual ticket, please refund one payment.",
     "The yearly ticket was debited two times. I ask you to return one of the amounts."),
    ("The new colleague Marek Novy needs an account for the time sheet system by Monday.",
     "Please create time sheet access for our new employee Marek Novy before Monday."),
    ("The washing machine stops in the middle of the programme and shows E18.",
     "Error E18 on my washing machine, it halts halfway through every wash."),
    ("Our scanner sends only empty pages to the mailbox since yesterday.",
     "Since yesterday all the scans that arrive by mail are blank pages."),
    ("The heating in office 214 cannot be turned down, it is 27 degrees in here.",
     "It's 27 degrees in room 214 and the radiator valve has no effect, it just keeps heating."),
    ("I received the trousers in size 40 instead of 38.",
     "You sent the wrong trouser size: I ordered a 38 and got a 40."),
    ("The confirmation mail for my new address never arrived.",
     "I changed my address and still have no mail that confirms it."),
    ("VPN drops exactly every thirty minutes when I work from home.",
     "Working from home, my VPN connection is cut off each half hour."),
    ("The lift in the east wing stops between floors again.",
     "East wing elevator got stuck between two storeys once more."),
    ("How can I change the bank account from which you collect the fee?",
     "I have a new bank account. How do I tell you to debit the fee from there?"),
    ("The app does not let me upload a photo of the receipt, the button stays grey.",
     "Uploading a receipt picture is impossible, because the upload button is greyed out."),
    ("The discount code SPRING15 is said to be invalid although it runs until Sunday.",
     "SPRING15 is rejected as invalid at checkout, but it should work till Sunday."),
    ("One of the four chairs was delivered with a broken leg.",
     "Four chairs came today and the leg of one of them is snapped."),
    ("My voice mail greeting is still the one of my predecessor.",
     "Callers hear the announcement of the person before me when they reach my mailbox."),
    ("The statistics page has been empty since the migration on Tuesday.",
     "After Tuesday's migration there is no data on the statistics page."),
    ("We need a second monitor for the reception desk.",
     "Could the front desk please get an additional screen?"),
    ("Printing in colour gives green stripes on every sheet.",
     "All colour prints have green lines across the page."),
    ("The door card of Ines Falk does not open the garage.",
     "Ines Falk cannot get into the garage with her access card."),
    ("Your site logs me out while I am filling in the claim form.",
     "I get signed out in the middle of the claim form and lose everything."),
    ("The delivery note for order 7714 is missing, customs asks for it.",
     "Customs wants the delivery note of order 7714 and we do not have it."),
    ("I want to return the tent, the zip was faulty from the beginning.",
     "The zip of the tent never worked, so I would like to send it back."),
    ("Calendar invitations from outside show up one hour late.",
     "External meeting invites are displayed an hour later than they should be."),
    ("Please remove my daughter's mail address from the newsletter.",
     "Can you take my daughter off your newsletter list?"),
    ("The dishwasher in the staff kitchen does not drain.",
     "Water stays in the staff kitchen's dishwasher after each run."),
    ("Password reset links end on a page that says token expired, even right away.",
     "Each reset link tells me the token has expired, though I click it within seconds."),
    ("The tablet in the warehouse no longer connects to the scales.",
     "Our warehouse scales and the tablet have lost their connection for good."),
    ("Can I get a receipt for the donation I made in December?",
     "I donated in December and need a receipt for the tax office."),
    ("The second page of the rental contract is missing from the PDF.",
     "In the PDF of my rental contract page two is not there."),
    ("Please move my appointment with the technician to the following week.",
     "I need the technician's visit to take place one week later."),
    ("The smoke detector in flat 12 beeps every minute.",
     "There is a beep once a minute from the smoke alarm of apartment 12."),
    ("The e-bike battery only lasts for ten kilometres after the service.",
     "Since it was serviced, my e-bike runs out of power within ten kilometres."),
    ("Search in the help centre returns no results for any word.",
     "Whatever I type into the help centre search, nothing is found."),
)  # fmt: skip
"""Forty tickets and the same matter once more, in other words."""

SENDERS = (
    ("Jana Kessler", "Office Management", "Brandt & Sohn Logistics", "+49 40 5550 118"),
    ("Tomás Ferreira", "Customer Care", "Azulmar Homewares", "+351 21 555 0142"),
    ("Priya Raman", "IT Services", "Calder Valley Trust", "+44 161 555 0190"),
    ("Olivier Blanc", "Achats", "Ateliers du Rhône", "+33 4 55 50 12 31"),
    ("Wiktoria Sowa", "Accounting", "Polmetal Wrocław", "+48 71 555 01 20"),
    ("Daniel Okafor", "Facilities", "Greenway Insurance", "+44 20 5550 1776"),
    ("Sanne de Boer", "Planning", "Veldhuis Transport", "+31 20 555 0133"),
    ("Lucia Marchetti", "Segreteria", "Studio Marchetti", "+39 02 5550 1431"),
)
"""Name, department, company and telephone of people who write."""

DISCLAIMER = (
    "This e-mail and any attachments are confidential and may be legally privileged. If you are not the intended"
    " recipient, please notify the sender and delete this message. Please consider the environment before printing."
)

OFFICE = """<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8">
<style><!-- @font-face {{font-family:Calibri; panose-1:2 15 5 2 2 2 4 3 2 4;}}
p.MsoNormal, li.MsoNormal, div.MsoNormal {{margin:0cm; font-size:11.0pt; font-family:"Calibri",sans-serif;}}
a:link {{color:#0563C1; text-decoration:underline;}} div.WordSection1 {{page:WordSection1;}} --></style></head>
<body lang="EN-GB" link="#0563C1" vlink="#954F72"><div class="WordSection1"><p class="MsoNormal">{greeting}</p>
<p class="MsoNormal">&nbsp;</p><p class="MsoNormal">{body}</p><p class="MsoNormal">&nbsp;</p>
<p class="MsoNormal">{closing}</p><p class="MsoNormal">{name}<br>{department}<br><b>{company}</b></p>
<p class="MsoNormal">Tel. {phone}<br><a href="https://example.com">www.example.com</a></p>
<p class="MsoNormal"><span style="font-size:8.0pt;color:gray">{disclaimer}</span></p></div></body></html>"""
"""A mail as an office program writes it."""

WEB = """<div dir="ltr"><p>{greeting}</p><p>{body}</p><p>{closing}</p><p>{name}<br>{department}<br><b>{company}</b><br>
Tel. {phone}<br><a href="https://example.com">www.example.com</a></p></div>"""
"""A mail as a web client writes it."""

MAILS = {"web": WEB, "office": OFFICE}


GREETINGS = ("Hello,", "Dear support team,", "Good morning,", "Hi there,", "To whom it may concern,")
CLOSINGS = ("Kind regards", "Best regards", "Many thanks", "Thank you in advance", "Regards")
