/**
 * What redaction must take out and what it must leave, written by hand.
 *
 * One case a line. `⟦PHONE|07700 900123⟧` marks what must go and as what; everything outside the
 * brackets must survive letter for letter. `\n` stands for a line break.
 *
 * @module
 */

const written = String.raw`
Call me on ⟦PHONE|07700 900123⟧ after lunch.
my mobile's ⟦PHONE|07700900456⟧ if you need it
The practice line is ⟦PHONE|020 7946 0123⟧, open from 8:30 to 18:00.
⟦PHONE|(020) 7946 0958⟧ is the landline
Leeds office: ⟦PHONE|0113 496 0018⟧
Ring ⟦PHONE|01632 960 501⟧ and ask for Dr Patel.
⟦PHONE|01632 960501⟧
she left ⟦PHONE|01632-960-777⟧ as her daytime number
fax ⟦PHONE|0161 496 0999⟧
For emergencies out of hours phone ⟦PHONE|0800 046 0123⟧, otherwise 111.
Text ⟦PHONE|07911.123.456⟧ to cancel
Tel: ⟦PHONE|+44 20 7946 0123⟧
Tel. ⟦PHONE|+44 (0)20 7946 0123⟧ / room 12
⟦PHONE|+44 (0) 7700 900 321⟧ is best before 9am
⟦PHONE|+447700900987⟧
⟦PHONE|0044 7700 900111⟧ from abroad
from France dial ⟦PHONE|00447700900222⟧
⟦PHONE|+44-7700-900-333⟧ (WhatsApp only)
Cardiff patient, ⟦PHONE|029 2018 0555⟧, needs an interpreter
Belfast: ⟦PHONE|028 9649 6123⟧
his work phone is ⟦PHONE|0207 946 0444⟧
⟦PHONE|07 700 900 555⟧ odd spacing but still mine
mobile ⟦PHONE|077 0090 0666⟧
number: ⟦PHONE|07700-900777⟧; surname: Okafor
Please ring me back on ⟦PHONE|07700 900888⟧ at 14:30 on 03/04/2026
The patient (⟦PHONE|07700 900999⟧) takes 20 mg twice a day
⟦PHONE|03069 990 123⟧ is the clinic's own line
⟦PHONE|0909 879 0123⟧ charged her £1.50 a minute
Two numbers: ⟦PHONE|07700 900101⟧ and ⟦PHONE|020 7946 0202⟧
⟦PHONE|07700 900101⟧/⟦PHONE|07700 900102⟧ either will do
mobile ⟦PHONE|07700 900103⟧, home ⟦PHONE|01632 960103⟧, extension none
Contact number ⟦PHONE|01632 960104 ext. 12⟧
I'm at ⟦PHONE|212-555-0143⟧ most days
Call ⟦PHONE|(415) 555-0198⟧ and press 2
⟦PHONE|415.555.0133⟧ is her cell
⟦PHONE|(646)555-0177⟧ asap
phone ⟦PHONE|1-312-555-0166⟧
⟦PHONE|1 (312) 555-0167⟧ or text
⟦PHONE|+1 212 555 0188⟧
⟦PHONE|+1-202-555-0123⟧ is the pharmacy
⟦PHONE|+12025550124⟧
⟦PHONE|+1 (202) 555-0125⟧
⟦PHONE|001 202 555 0126⟧ international
cell is ⟦PHONE|2025550127⟧ thanks
My phone number is ⟦PHONE|12025550128⟧.
⟦PHONE|202 555 0129⟧
reach me at ⟦PHONE|202 555 0130 x14⟧
just ⟦PHONE|555-0131⟧, same area code as you, that's my phone
My number is ⟦PHONE|555-0132⟧
call ⟦PHONE|555 0133⟧ before noon
⟦PHONE|123-456-7890⟧ was what the form said
She said ⟦PHONE|(800) 555-0199⟧ never picks up
⟦PHONE|1-800-FLOWERS⟧
call ⟦PHONE|1-800-GO-FEDEX⟧ about the cold chain box
⟦PHONE|1 800 MEDICARE⟧ answered within a minute
The helpline is ⟦PHONE|1-888-555-CARE⟧
⟦PHONE|+33 6 12 34 56 78⟧ is her Paris mobile
⟦PHONE|+49 30 901820⟧
Meine Nummer ist ⟦PHONE|+49 151 23456789⟧
⟦PHONE|+353 87 123 4567⟧, an Irish mobile
⟦PHONE|+34 612 34 56 78⟧
⟦PHONE|+39 06 6982 1234⟧ for Rome
⟦PHONE|+61 412 345 678⟧
⟦PHONE|+91 98765 43210⟧ on WhatsApp
⟦PHONE|+86 138 0013 8000⟧
⟦PHONE|+971 50 123 4567⟧ Dubai
⟦PHONE|+48 601 234 567⟧
⟦PHONE|+65 6123 4567⟧ Singapore
⟦PHONE|0033 6 12 34 56 79⟧ while on holiday
⟦PHONE|011 44 20 7946 0123⟧ is what I dial from Boston
my number in Sydney is ⟦PHONE|0412 345 678⟧
tel:⟦PHONE|+447700900123⟧
<a href="tel:⟦PHONE|+1-212-555-0101⟧">call</a>
sms:⟦PHONE|07700900124⟧?body=hi
whatsapp:⟦PHONE|+447700900125⟧
https://wa.me/⟦PHONE|447700900126⟧
To=%2B⟦PHONE|447700900127⟧&From=%2B⟦PHONE|12025550100⟧&Body=hello
{"phone":"⟦PHONE|07700900128⟧","orderId":"4839201746"}
{"caller": "⟦PHONE|+12125550109⟧", "durationSeconds": 184}
{"patientPhone":"⟦PHONE|2125550110⟧","slot":"consultation/2026-03-03T14:30"}
"mobile": ⟦PHONE|447700900129⟧, "age": 44
first line\n⟦PHONE|07700900130⟧\nlast line
phone=⟦PHONE|07700900131⟧ outcome=sent
Twilio refused ⟦PHONE|+447700900132⟧ with 21211
cannot send to '⟦PHONE|+15005550006⟧': 21614
⟦PHONE|０７７００ ９００１３３⟧ typed with a Japanese keyboard
⟦PHONE|07700‑900‑134⟧ with non-breaking hyphens
⟦PHONE|07700–900135⟧ with an en dash
⟦PHONE|07700 900136⟧ with no-break spaces
⟦PHONE|07700 900137⟧ with a thin space
⟦PHONE|202−555−0138⟧ with minus signs
⟦PHONE|+44 7700 900139⟧
Number​: ⟦PHONE|٠٧٧٠٠٩٠٠١٤٠⟧
💬⟦PHONE|07700900141⟧💬
⟦PHONE|07700 900142⟧.
Mum's on ⟦PHONE|07700 900143⟧; dad's on ⟦PHONE|07700 900144⟧!
Is ⟦PHONE|07700 900145⟧ still right? No? ⟦PHONE|07700 900146⟧ then?
Appointment 2026-03-03 14:30, callback ⟦PHONE|07700 900147⟧
DOB 14/03/1984, tel ⟦PHONE|07700 900148⟧, NHS ⟦NHS|943 476 5919⟧
Order 4839201745 was for ⟦PHONE|07700 900149⟧
ref 88213377, mobile ⟦PHONE|07700 900150⟧
15 High Street, CF10 1AA, ⟦PHONE|029 2018 0556⟧
T: ⟦PHONE|020 7946 0150⟧ F: ⟦PHONE|020 7946 0151⟧ E: ⟦EMAIL|desk@example.org⟧
(⟦PHONE|020 7946 0152⟧)
[⟦PHONE|020-7946-0153⟧]
Ph.⟦PHONE|212-555-0154⟧
cell#⟦PHONE|212-555-0155⟧
Mobile No. ⟦PHONE|07700 900156⟧
call +⟦PHONE|44 7700 900157⟧
my old number was ⟦PHONE|0117 496 0158⟧, the new one's ⟦PHONE|0117 496 0159⟧
⟦PHONE|07700 900160⟧ is my number, two tablets is my dose
Patient reachable on ⟦PHONE|07700900161⟧ 24/7
Please use ⟦PHONE|5551234567⟧ as the callback
`;

const spoken = String.raw`
my number is ⟦PHONE|oh seven seven double oh nine hundred one two three⟧
It's ⟦PHONE|oh seven seven double oh, nine double oh, four five six⟧.
⟦PHONE|zero seven seven zero zero nine zero zero one two three⟧ thanks
Sure, ⟦PHONE|zero two zero, seven nine four six, zero one two three⟧, that's the landline
⟦PHONE|oh one six three two nine six oh five oh one⟧ please
um ⟦PHONE|oh seven um nine one one uh one two three four five six⟧
the best number is ⟦PHONE|two one two five five five oh one four three⟧
⟦PHONE|four one five, five five five, zero one nine eight⟧
⟦PHONE|nought seven seven nought nought nine nought nought one two three⟧
call me on ⟦PHONE|oh seven triple seven, one two three, four five six⟧
⟦PHONE|plus four four seven seven double oh nine double oh one two three⟧
⟦PHONE|plus one two one two five five five oh one two three⟧
My phone is ⟦PHONE|one eight hundred five five five oh one nine nine⟧.
⟦PHONE|three one two five fifty-five oh one sixty-six⟧ is my cell
it's ⟦PHONE|six forty six, five fifty five, twelve thirty four⟧, my cell phone
call me at ⟦PHONE|seven one eight, five five five, nineteen eighty four⟧
you can reach me at ⟦PHONE|five five five, oh one three one⟧
⟦PHONE|Oh-seven-seven-double-oh, nine-double-oh, one-two-three⟧
my mobile number is ⟦PHONE|07 seven double zero 900 one two three⟧
my number's ⟦PHONE|oh 7700 900 double five six⟧
⟦PHONE|zero zero four four seven seven zero zero nine zero zero one two three⟧
phone ⟦PHONE|oh two nine, two oh one eight, oh five five five⟧ and ask for Sian
⟦PHONE|Oh seven seven oh oh nine oh oh one two three⟧. That's right.
Number: ⟦PHONE|zero one one three, four nine six, double zero one eight⟧
AI: What's the best number to reach you?\nUser: ⟦PHONE|oh seven seven double oh nine double oh one two three⟧.
AI: What is your mobile number?\nUser: It's ⟦PHONE|07700⟧\nAI: Go on.\nUser: ⟦PHONE|900 123⟧
AI: Can I take a phone number?\nUser: Yeah, ⟦PHONE|oh seven seven double oh⟧\nAI: okay\nUser: ⟦PHONE|nine double oh⟧\nAI: mm-hmm\nUser: ⟦PHONE|one two three⟧
AI: Your number please?\nUser: ⟦PHONE|two one two⟧\nAI: Got it.\nUser: ⟦PHONE|five five five⟧\nAI: And the rest?\nUser: ⟦PHONE|oh one four three⟧
AI: And a callback number?\nUser: Um, ⟦PHONE|4155550198⟧, I think.
AI: What number can we text?\nUser: ⟦PHONE|5550143⟧
AI: Could I have your phone number?\nUser: sure it is ⟦PHONE|555 867 5309⟧
assistant: Which number should we ring?\ncustomer: the one I'm on, ⟦PHONE|07700 900 123⟧
AI: So that's ⟦PHONE|oh seven seven double oh, nine double oh, one two three⟧?\nUser: Yes.
AI: Let me read it back: ⟦PHONE|0 7 7 0 0 9 0 0 1 2 3⟧
User: ⟦PHONE|0-7-7-0-0-9-0-0-4-5-6⟧
My number is ⟦PHONE|2-1-2-5-5-5-0-1-2-3⟧.
⟦PHONE|0 7 7 0 0, 9 0 0, 1 2 3⟧
double check it: ⟦PHONE|oh seven seven double oh nine hundred five six seven⟧, two times a day please text
My landline's ⟦PHONE|oh one six three two, nine sixty, five oh one⟧
It's ⟦PHONE|two oh two, triple five, oh one double two⟧.
mum's mobile is ⟦PHONE|oh seven nine one one, twelve, thirty-four, fifty-six⟧
⟦PHONE|zero seven seven zero zero... nine zero zero... one two three⟧
my number is ⟦PHONE|treble five, oh one two three⟧
⟦PHONE|oh eight hundred, oh four six, oh one two three⟧
`;

const passcodes = String.raw`
Your code is ⟦OTP|482913⟧.
Your verification code is ⟦OTP|482 913⟧
⟦OTP|482913⟧ is your Riverside Clinic passcode. It expires in 10 minutes.
code: ⟦OTP|004821⟧
OTP ⟦OTP|771204⟧ sent
passcode=⟦OTP|339104⟧
{"code":"⟦OTP|482913⟧","callId":"5f0c"}
{"otp": ⟦OTP|482913⟧}
The code I got is ⟦OTP|four eight two nine one three⟧
it says the code is ⟦OTP|four eight two, nine one three⟧, is that right
my passcode's ⟦OTP|forty-eight twenty-nine thirteen⟧
the code was ⟦OTP|double four two, nine one three⟧
AI: Please read me the six digit code.\nUser: ⟦OTP|482913⟧
AI: I've sent you a code. What does it say?\nUser: Okay, it's ⟦OTP|4 8 2 9 1 3⟧.
AI: Could you read me the passcode?\nUser: ⟦OTP|oh oh four eight two one⟧
AI: What's the code we texted you?\nUser: ⟦OTP|four eight two⟧\nAI: Yes?\nUser: ⟦OTP|nine one three⟧
AI: Can you tell me the code from the text message?\nUser: hang on. ⟦OTP|4-8-2-9-1-3⟧
Use ⟦OTP|482913⟧ to verify your appointment
User's Keypad Entry: ⟦OTP|482913⟧
G-⟦OTP|482913⟧ is your Google verification code
Enter ⟦OTP|482-913⟧ as your one-time code
security code ⟦OTP|9931⟧
PIN: ⟦OTP|4821⟧
One-time password: ⟦OTP|88412093⟧
wrong code ⟦OTP|482914⟧, two attempts left
verify-otp got "⟦OTP|482913⟧" as the code
The confirmation code is ⟦OTP|206 114⟧
your login code: ⟦OTP|55120⟧
code is ⟦OTP|４８２９１３⟧
sorry, the code is ⟦OTP|six one oh, triple four⟧
`;

const identities = String.raw`
Write to ⟦EMAIL|ada.brown@example.com⟧ please
⟦EMAIL|o'neill+clinic@mail.example.co.uk⟧
<⟦EMAIL|reception@riverside-clinic.nhs.uk⟧>
mailto:⟦EMAIL|x_1@example.io⟧?subject=hi
{"email":"⟦EMAIL|kim@example.com⟧"}
cc ⟦EMAIL|a@b.co⟧,⟦EMAIL|c@d.org⟧.
⟦EMAIL|müller@beispiel.de⟧ schrieb
my email is ⟦EMAIL|ada dot brown at example dot com⟧
it's ⟦EMAIL|jsmith at gmail dot com⟧
email address: ⟦EMAIL|kim underscore lee at outlook dot com⟧, thanks
⟦EMAIL|ada.brown at example.com⟧ is my email
send it to ⟦EMAIL|ada [at] example [dot] org⟧
my email is ⟦EMAIL|tom at nhs dot net⟧
IBAN ⟦IBAN|GB82 WEST 1234 5698 7654 32⟧
⟦IBAN|GB82WEST12345698765432⟧
pay ⟦IBAN|DE89 3704 0044 0532 0130 00⟧ by Friday
⟦IBAN|FR14 2004 1010 0505 0001 3M02 606⟧
⟦IBAN|IE29AIBK93115212345678⟧ is the account
⟦IBAN|nl91 abna 0417 1643 00⟧
NI number ⟦NINO|AB 12 34 56 C⟧
⟦NINO|QQ123456C⟧
national insurance is ⟦NINO|jg 10 37 59 a⟧
⟦NINO|AB-12-34-56-C⟧ on the payslip
logged in from ⟦IP|192.168.0.17⟧
⟦IP|10.0.0.1⟧:8080 refused
client ⟦IP|203.0.113.9⟧, port 443
⟦IP|2001:db8::8a2e:370:7334⟧
[⟦IP|2001:db8:85a3:0:0:8a2e:370:7334⟧]:443
⟦IP|::1⟧ is local
⟦IP|::ffff:198.51.100.2⟧ came mapped so ⟦IP|::ffff:198.51.100.3⟧ goes
x-forwarded-for: ⟦IP|198.51.100.7⟧, ⟦IP|198.51.100.8⟧
card ⟦CARD|4111 1111 1111 1111⟧ exp 12/27
⟦CARD|4242424242424242⟧
⟦CARD|5555-5555-5555-4444⟧ was declined
amex ⟦CARD|3782 822463 10005⟧
card number ⟦CARD|6011000990139424⟧ cvc 3 digits on the back
⟦CARD|four two four two, four two four two, four two four two, four two four two⟧
my card is ⟦CARD|four double one one, one one one one, one one one one, one one one one⟧
⟦CARD|4000 0566 5566 5556⟧ visa debit
NHS number ⟦NHS|943 476 5919⟧
NHS no: ⟦NHS|9434765919⟧
NHS ⟦NHS|401-023-2137⟧
his nhs number is ⟦NHS|nine four three, four seven six, five nine one nine⟧
⟦NHS|401 023 2137⟧ on the letter
AI: What's your NHS number?\nUser: It's ⟦NHS|943 476 5919⟧.
SSN ⟦SSN|536-90-4399⟧
⟦SSN|219-09-9999⟧
social security number ⟦SSN|219099998⟧
my social is ⟦SSN|two one nine, oh nine, nine nine nine eight⟧
social: ⟦SSN|457 55 5462⟧
`;

// Nothing of these may change.
const negatives = String.raw`
2023-01-15
2023-01-15 10:30:00
2023-01-15T10:30:00Z
2026-03-03T14:30:00+00:00
2026-03-03T14:30:00.123456+01:00
Her date of birth is 14/03/1984.
14.03.1984 and 15.03.1984
03-14-1984
1984/03/14 14:30
born on 14 March 1984, in Leeds
March 14, 1984 at 2:30 PM
20260303
20260303T143000Z
from 2026-03-03 to 2026-03-17 inclusive
01/02/2023 - 03/04/2023
01-02-2023 10:00 01-02-2023 11:00
12/11/10 09:08:07
Mon 9am-5pm, Tue 10-6, Sat 08:30-12:45
Open 0800-1700 Monday to Friday
opening hours 08:00 12:00 13:00 17:30
between 10:00 and 10:30 on the 3rd
slots at 9:00, 9:30, 10:00, 10:30, 11:00
1430 hours, theatre 2
three fifteen, three thirty or four forty five
the twenty first of March at two thirty
nineteen eighty four
twenty twenty six
half past two on the third of the third
£1,250.00
$4,500 deposit and $12,000 total
GBP 1234567890
€ 1.234.567,89
the implants cost 4500 to 6500 pounds
USD 2125550123
total: 12345678.90
500 mg twice daily for 7 days
0.5 mg/kg, max 400mg in 24 h
take 1-2 tablets every 4-6 hours
amoxicillin 500mg TDS 5/7
warfarin 3mg 5mg 3mg 5mg 3mg 5mg 3mg
insulin 10 units 12 units 8 units 14 units
BP 120/80
BP 120/80, 118/76, 125/82 and 130/85
blood pressure 142 over 91, pulse 72, sats 98
HR 72 RR 16 T 36.8 SpO2 98
Hb 13.5 WCC 7.2 Plt 250 Na 140 K 4.1 Cr 78
Na 138, K 4.2, Ur 5.1, Cr 71, eGFR 90
eGFR > 90 mL/min/1.73m2
cholesterol 5.2, LDL 3.1, HDL 1.4, TG 1.9
HbA1c 48 mmol/mol (6.5%)
glucose 5.4 6.1 7.2 5.9 6.6
weight 72.5 kg, height 178 cm, BMI 22.9
PSA 4.1 ng/mL in 2024, 3.9 in 2023, 3.5 in 2022
platelets 250000, white cells 7200
viral load 1000000 copies
WBC 4500-11000
INR 2.5 on 01/03, 2.7 on 08/03, 3.0 on 15/03
CPT 99213
CPT 99213-25, 99214, 30400
CPT codes 30400 30410 30420 30430 30435
ICD-10 J34.2 and Z41.1
ICD-10 code M54.50
the diagnosis code is E11.9
procedure code 304000
SNOMED 73211009
SNOMED CT code 44054006
LOINC 2345-7
HCPCS J1885
DRG 470
NDC 0002-8215-01
NDC 00002821501
Read code C10E.
lot 20231501, expires 12/2027
UDI (01)00844588003288(17)141120(10)7654321D
grade 3/6 systolic murmur, 2/6 at apex
visual acuity 20/20 and 6/6
Glasgow coma scale 15, GCS 15/15
gravida 3 para 2, 39+4 weeks
L4-L5, C5-C6, T12-L1
size 36DD to 34C, 325 cc implants
4 0 vicryl, 5-0 prolene, 6 0 nylon
apgar 9 10 10
order 4839201745
Order #2125550123 has shipped
order number 212-555-0123
your order number is 07700900123
reference 07700 900123
ref: 2125550123
Reference number: 202 555 0129
booking reference 9434765919
MRN 0012345678
MRN: 2125550123
medical record number 4155550198
NPI 1234567893
NPI number 2025550127
DEA AB1234563
invoice 20231500123
invoice no. 07700900123
Invoice INV-2023-000123
case 4155550101 was closed
ticket #4155550102
account number 55779911
account 4155550103
sort code 20-00-00 account 55779911
policy number 4155550104
member ID 4155550105
group number 4155550106
claim 4155550107 was denied
tracking number 1Z999AA10123456784
tracking 9400111899223344556677
parcel JD014600003888888888
serial 4155550108
SKU 4155550109
ISBN 978-3-16-148410-0
ISBN 0306406152
barcode 5012345678900
patient ID 4155550110
customer number 4155550111
transaction id 4155550112
confirmation number 4155550113
prescription number 4155550114
Rx 4155550115
passport 533380006
licence number 4155550116
VAT number GB123456789
company number 07700900
flight BA2490, seat 32A
flight AA 1234 departs 0755
550e8400-e29b-41d4-a716-446655440000
callId 00000000-0000-4000-8000-202555012312
id 5f0c7700-9001-4234-8555-012345678901
toolu_01A09q90qw90lq917835lq9
call_2125550123abc
SM2125550123212555012321255501232
abc2125550123
2125550123abc
1700000000
1700000000000
timestamp 1700000000
epoch 2125550123
iat: 1700000000, exp: 1700003600
created at 1709476200123
v1.2.3
version 1.2.3.4
Deno 2.1.4 and 2.9.6
Chrome/120.0.6099.109
build 10.0.19045.3803
libphonenumber-js 1.13.16
section 4.1.2.3 of the protocol
OID 1.3.6.1.4.1.343
room 212
room 2125, second floor
ward 7, bed 12, bay 3
123 Main Street
1600 Pennsylvania Avenue NW, Washington, DC 20500
221B Baker Street, London NW1 6XE
Suite 4150, 550 Fifth Avenue, New York, NY 10036
PO Box 5550143
zip 90210-1234
zip code 90210
New York, NY 10036-4155
postcode SW1A 1AA
M1 1AE, EC1A 1BB, W1A 0AX
flat 12, 45-47 High Street
1984
in 1984, 1991, 2003 and 2019
the 2019-2020 and 2021-2022 seasons
call 999
call 911 now
dial 111 for advice or 999 in an emergency
nine nine nine
call nine one one
101 and 112 work too
988 Suicide & Crisis Lifeline
0.123456789
3.14159265358979
12345.678901
-0.0000012345
1e10 and 6.02e23
1,234,567,890
10 000 000 000
1 000 000
100%
99.95 %
51.5074, -0.1278
lat 51.507351 lon -0.127758
40.712776, -74.005974
consultation/2026-03-03T14:30
rhinoplasty/2026-03-03T14:30:00
consultation/2026-03-03T14:30/415
slot consultation/2026-03-03T14:30 was held for 600 seconds
10 slots, 3 doctors, 25 organizations
duration 1234567 ms
databaseMs: 12, twilioMs: 840, totalMs: 903
1234567 rows in 89 ms
HTTP 200 in 412 ms
error code 21211
Twilio 30007
status code 500
exit code 137
error 21610: unsubscribed recipient
{"code":"database_timeout"}
{"code":21211}
{"attemptsLeft":2,"expiresInSeconds":600}
{"durationMs":2125550123}
{"orderId":"2125550123"}
{"id":4155550101}
{"phoneCount": 12345678}
country code 44
area code 212
the dialling code is 0161
zip code is 482913
door is on level 3, code of conduct applies
promo code 482913
discount code SUMMER2026
dress code: scrubs
the six digit code expires in 10 minutes
I never got the code, it's been 15 minutes
we texted a code at 14:30 on 2026-03-03
code blue in room 482
a six-digit code will be texted to the number ending in 23
the number ending 23
one two three four five six seven eight nine ten
one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve
ten, twenty, thirty, forty, fifty, sixty
1 2 3 4 5 6 7 8 9 10 11 12
1, 2, 3, 4, 5, 6, 7, 8, 9, 10
count down from ten: ten nine eight seven six five four three two one
count from 100 in sevens: 93 86 79 72 65
I have two kids, one is seven and one is three
one or two tablets three or four times a day for five to seven days
pain is seven out of ten, was nine
two of the three said one thing
one hundred and twenty over eighty
nine to five, Monday to Friday
oh no, not again
she's one in a million
double vision for two days, triple vessel disease
plus one more thing
seven eight year old
your appointment is at ten thirty on March third twenty twenty six
forty five minutes, twenty two hundred dollars
one twenty over eighty, one thirty over eighty five
five hundred milligrams three times a day for seven days
AI: What is your date of birth?\nUser: 14/03/1984
AI: What is your date of birth?\nUser: March fourteenth nineteen eighty four
AI: What is your date of birth?\nUser: oh three fourteen nineteen eighty four
AI: What's your phone number and when would you like to come?\nUser: On 2026-03-03 at 14:30.
AI: How many tablets?\nUser: 2, 3 times a day
AI: What's your member number?\nUser: 4155550198
AI: What's the order number?\nUser: 212-555-0199
AI: What number are you calling about?\nUser: room 415
AI: What time suits you?\nUser: two thirty or three fifteen
AI: Which day?\nUser: the 3rd or the 4th, 9 to 5
AI: What's your zip code?\nUser: nine oh two one oh
AI: How old are you?\nUser: 44
the ratio is 3:2:1
score 3-2, 4-1, 5-0
lottery 4 8 15 16 23 42
pages 212-219
1-2-3
chapters 1-800
4111 1111 1111 1112
4242424242424241
1234 5678 9012 3456
order 4111111111111111
1.1.1 and 2.2.2.2.2
256.300.1.1
10:30:00
00:1A:2B:3C:4D:5E
std::vector and a::b
@example and foo@bar
user@localhost
look at example dot com
visit us at example dot com
book online at riverside dot com
meet me at ten dot
GB00 WEST 1234 5698 7654 32
GB82 TEST
000-12-3456
536-00-4399
BG123456A
AB123456E
part AB-1234
see you at 2 or 3, 4 at the latest
extension 4512
press 1 for appointments, 2 for billing, 3 for prescriptions
press 1, 2, 3, 4, 5 or 0
a 30-day supply with 11 refills
100-200-300 regimen
5000 IU vitamin D
1 x 10^9/L
10^12 cells
37.5-38.5 C
120 mmHg
10-0-0-12 units
0-0-1
1-0-1-0 dosing
hours: 9-12, 13-17
Pfizer lot EW0182, 0.3 mL, left deltoid
gestation 39 weeks 4 days
years 1999 2000 2001 2002 2003
year 2020 2021 2022
2020 2021
code 99213
codes 99213 and 99214
ASA 2, Mallampati 3
MRSA screen 12 03 2026 negative
04 03 2026 09 30
the 07/03/2026 14:30 appointment
EDD 07.09.2026, LMP 01.12.2025
UTC+01:00
GMT+1
+1 for that idea
+2 -3 +4
+5.50 dioptres, -2.25 x 180
R +1.25/-0.50 x 90
A+ blood type, O- donor
I owe 2 pounds 50
row 7700, column 900123
#4155550123
№ 4155550123
https://example.com/orders/4155550123
https://example.com/?page=2&size=100
/var/log/2026/03/03/143000.log
sha256:0123456789abcdef0123456789abcdef
0x7700900123
deadbeef07700900123
3f2504e0
line 415:212
Grid ref TQ 123 456
what3words, gate 5, stand 21
M 07:00-12:00, T 13:00-19:00
`;

/** A text and what of it must go. */
export interface RedactionCase {
  readonly text: string;
  readonly secrets: readonly {
    readonly type: string;
    readonly start: number;
    readonly end: number;
  }[];
}

/** All cases, by where they come from. */
export const redactionCorpus: Readonly<Record<string, readonly RedactionCase[]>> = {
  written: readCases(written),
  spoken: readCases(spoken),
  passcodes: readCases(passcodes),
  identities: readCases(identities),
  negatives: readCases(negatives),
};

/** Reads cases, one a line, from their notation. */
export function readCases(lines: string): RedactionCase[] {
  return lines.split("\n").filter((line) => line !== "").map(readCase);
}

function readCase(line: string): RedactionCase {
  const secrets = [];
  let text = "";
  for (const part of line.replaceAll("\\n", "\n").split(/(⟦[A-Z]+\|[^⟧]*⟧)/)) {
    const marked = /^⟦([A-Z]+)\|([^⟧]*)⟧$/.exec(part);
    const start = text.length;
    text += marked?.[2] ?? part;
    if (marked?.[1]) secrets.push({ type: marked[1], start, end: text.length });
  }
  return { text, secrets };
}
