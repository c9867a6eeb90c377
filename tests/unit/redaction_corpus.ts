/**
 * What redaction must remove and what it must leave, written by hand.
 *
 * One case per line. `⟦PHONE|07700 900123⟧` marks what must be removed and its type; everything outside
 * the brackets must stay unchanged. `\n` stands
 * for a line break.
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
just ⟦PHONE|555-0131⟧, that's my phone
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
my code is ⟦OTP|triple oh one two three⟧
my code is ⟦OTP|zero one two three four five⟧
AI: What's the code?\nUser: ⟦OTP|double oh, one, two, three, four⟧
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

// Nothing in these may change.
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
401 023 2138
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

// Written in the style of other authors before any of them was tried. Each ran once; then the rules
// were changed, not the cases.
const callCentre = String.raw`
Agent: Thanks for calling Brightsmile, can I get a number in case we're cut off? Caller: Sure, it's ⟦PHONE|0191 496 0234⟧.
Agent: And the best contact number?\nCaller: ⟦PHONE|oh one nine one, four nine six, oh two three four⟧.\nAgent: Lovely.
[00:00:04] Agent: Can I take your mobile?\n[00:00:09] Caller: ⟦PHONE|07911 123456⟧\n[00:00:12] Agent: Thank you.
Speaker 1: what's a good callback?\nSpeaker 2: ⟦PHONE|617-555-0187⟧, that's my cell.
AI: what's your number? / User: ⟦PHONE|oh seven seven double oh nine double oh one two three⟧
bot: Please say your phone number\nhuman: ⟦PHONE|seven one three five five five oh one oh two⟧
AI: I have you down as ⟦PHONE|07700 900 311⟧, is that still right?\nUser: No, it's changed. It's ⟦PHONE|07700 900 312⟧ now.
Agent: Could you give me the number on the account?\nCustomer: The account number? It's 88231177.
Agent: How can we reach you?\nCustomer: ⟦PHONE|5550170⟧ is fine.
AI: What number should we call?\nUser: um the usual one, ⟦PHONE|nine one seven, triple five, oh one oh nine⟧
User: my wife's number is ⟦PHONE|07700 900 313⟧ and mine is ⟦PHONE|07700 900 314⟧
User: you can text me, ⟦PHONE|zero seven seven zero zero, nine zero zero, three one five⟧
AI: Phone number?\nUser: ⟦PHONE|+1 (503) 555-0112⟧
AI: Your number please.\nUser: ⟦PHONE|seven seven zero zero nine zero zero three one six⟧ with an oh in front
AI: Got it. ⟦PHONE|zero seven seven, zero zero nine, zero zero three, one seven⟧. Correct?
User: area code ⟦PHONE|four one five, then five five five, oh one two six⟧
User: it's ⟦PHONE|oh double seven double oh, nine hundred, three two one⟧
User: ⟦PHONE|07700⟧\nAI: yes\nUser: ⟦PHONE|900⟧\nAI: yes\nUser: ⟦PHONE|322⟧
AI: And your phone number?\nUser: ⟦PHONE|zero seven seven⟧\nAI: ⟦PHONE|Zero seven seven⟧.\nUser: ⟦PHONE|double zero nine⟧\nAI: Okay.\nUser: ⟦PHONE|double zero three two three⟧
AI: Can I have the code we sent?\nUser: ⟦OTP|seven seven one, two oh four⟧
AI: Please enter the six digits from the text.\nUser: ⟦OTP|739201⟧
AI: What are the six digits of your passcode?\nUser: it's ⟦OTP|73 92 01⟧
User: the text says ⟦OTP|739 201⟧ is my verification code
AI: I'm sorry, that code was wrong. Could you try again?\nUser: ⟦OTP|seven three nine two oh one⟧
AI: Sorry, that passcode has expired.\nUser: Oh. It was ⟦OTP|739201⟧.
AI: What's your email?\nUser: ⟦EMAIL|sarah dot jones at outlook dot com⟧
AI: Could you spell your email?\nUser: ⟦EMAIL|s jones ninety nine at gmail dot com⟧
User: it's ⟦EMAIL|mike underscore brown at yahoo dot co dot uk⟧
User: send it to ⟦EMAIL|m.brown@clinic.example⟧ please
AI: And your NHS number?\nUser: ⟦NHS|nine four three, four seven six, five nine one nine⟧
AI: What's the last four of your social?\nUser: 4399
AI: And the long number on the card?\nUser: ⟦CARD|4242 4242 4242 4242⟧
AI: The card number, please.\nUser: ⟦CARD|five five five five, five five five five, five five five five, four four four four⟧
AI: What's your national insurance number?\nUser: ⟦NINO|A B one two three four five six C⟧
AI: When would you like to come?\nUser: Tuesday the third at half two
AI: What time works?\nUser: ten fifteen or eleven thirty
AI: How old is the patient?\nUser: she's thirty four, turning thirty five in June
AI: What's the date of birth?\nUser: the twelfth of the seventh nineteen eighty one
AI: Date of birth?\nUser: twelve oh seven nineteen eighty one
AI: What's your date of birth?\nUser: 07121981
AI: What dose are you on?\nUser: twenty milligrams, twice a day
AI: Which insurance?\nUser: Blue Cross, member ID W123456789
AI: Could you read me the group number?\nUser: 0087654321
AI: What's the reference on the letter?\nUser: it's 4471902836
AI: What's your postcode?\nUser: LS1 4AP
AI: What's your address?\nUser: 1742 Willow Creek Road, apartment 12B
AI: How's the pain?\nUser: six out of ten, it was eight yesterday
AI: Your slot is consultation/2026-04-09T11:15, shall I hold it?\nUser: yes please
AI: We have nine, nine thirty, ten or ten thirty on the fourteenth.
AI: We're open nine to five thirty, Monday to Friday, and nine to one on Saturday.
User: I called yesterday at three fifteen and waited forty five minutes
User: I've had two kids, one in twenty nineteen, one in twenty twenty two
User: it's in room four oh two on the third floor
User: my blood pressure was one forty over ninety, then one thirty five over eighty eight
User: I take five hundred twice a day, then two fifty at night
Agent: If it gets worse ring 999 or call NHS 111.
Agent: In the US that's nine one one.
Agent: press one for appointments, two for billing, three for results, or zero for an operator\nUser: one two three four, testing, one two three four
AI: Your hold expires in six hundred seconds.
AI: The price is one thousand two hundred and fifty pounds.
User: oh one more thing, two of my teeth hurt
User: flight BA 1402 lands at ten fifty
`;

const records = String.raw`
Pt c/o chest pain x3 days. BP 148/92, HR 88, RR 18, SpO2 97% RA, T 37.2. Contact: ⟦PHONE|(512) 555-0139⟧.
NOK: Mary Ellis (wife), tel ⟦PHONE|01632 960 982⟧
Emergency contact ⟦PHONE|555-0188⟧ (husband)
MRN 00451234, DOB 02/11/1967, Ph ⟦PHONE|212.555.0177⟧, NPI 1881761234
Referred by Dr Shah, GP practice ⟦PHONE|0117 496 0777⟧, fax ⟦PHONE|0117 496 0778⟧.
Home: ⟦PHONE|020 7946 0611⟧ Work: ⟦PHONE|020 7946 0612⟧ Mobile: ⟦PHONE|07700 900612⟧
Patient phone verified: ⟦PHONE|+447700900613⟧. Lot FK9894 given 2026-02-11 09:40.
NHS No: ⟦NHS|401 023 2137⟧ Hosp No: 7712345 DOB: 1951-06-02
NHS ⟦NHS|4010232137⟧ seen 03.02.2026 14:05
SSN: ⟦SSN|536-90-4399⟧ DOB: 04/05/1971
SSN ⟦SSN|536904399⟧
NI: ⟦NINO|QQ 12 34 56 C⟧, employer ref 120/AB12345
Visa ending 4242, exp 09/28
Card on file: ⟦CARD|5105 1051 0510 5100⟧ exp 09/28 cvv ⟦CARD|123⟧
Direct debit IBAN ⟦IBAN|GB29 NWBK 6016 1331 9268 19⟧, sort code 60-16-13
Hb 132 g/L, WBC 6.7 x10^9/L, Plt 241, MCV 88.2, Na 139, K 4.4, Urea 5.6, Creat 78, eGFR >90
Troponin 12 ng/L at 08:10, 14 ng/L at 11:10
Metformin 500 mg BD, Ramipril 2.5 mg OD, Atorvastatin 20mg nocte
Prednisolone 40mg 35mg 30mg 25mg 20mg 15mg 10mg 5mg
Insulin glargine 24 units 22:00, aspart 8-10-6
Amlodipine 5mg PO 1x/day x 90 days, #90, RF 3
NDC 50090-1234-0, qty 30, refills 2
NDC 0093-7146-56
ICD-10: E11.65, I10, Z79.4
CPT 99214-25, 36415, 80053, 83036
Codes billed: 99213 93000 85025
SNOMED 271737000, LOINC 718-7
Procedure: 30450 rhinoplasty, secondary; consented 01/03/2026 08:55
Vaccines: MMR lot U1234AA 0.5 mL SC; Tdap lot 7F4K2 exp 11/2027
Flu vaccine lot 370123A exp 30/06/2026
Schedule: 0, 1, 6 months; next dose 12/08/2026
Ht 172 cm Wt 81.4 kg BMI 27.5 BSA 1.97
Visual acuity R 6/9 L 6/12, IOP 16/18
Audiogram 250 500 1000 2000 4000 8000 Hz: 15 20 20 25 40 55
Peak flow 410, 420, 390, 405 L/min
Fetal HR 140-150, fundal height 32 cm, G2P1001
Glucose log: 5.8 7.1 6.2 9.0 / 6.1 7.4 5.9 8.8
Temp 38.4 at 0200, 37.9 at 0600, 37.1 at 1000
Theatre list 0830 1015 1145 1330
Ward 12 bed 4, ext 4471
Bleep 2214
Room 1204B, Building 3
EDD 14/09/2026 (26+3 weeks)
MRI L-spine 2026-01-19: L4/5 4 mm disc bulge
Blood group O+, Rh D 15/12
Pain 7/10 -> 3/10
GMC 7654321
GMC number 7654321, NMC PIN 12A3456E
NPI: 1457389201
NPI 1234567893 taxonomy 207Q00000X
DEA BS1234563
Member ID: 8834512770 Group: 00123456
Policy no. 7788990011
Medicare 1EG4-TE5-MK73
Claim # 2025030112345 processed 2025-03-11
Auth number 5550148822 valid to 06/30/2026
Accession 26-0123456
Specimen ID 2604150077
Rx# 7012345
Rx 6045551234 refill
Encounter 4155552671
Chart no. 2125550199
Medical record 3105550123
Case no 07700900123
Invoice #INV-2026-004512 total $1,284.50
Invoice 3125550177 paid
PO 4500123456
Order no. 026-1234567-1234567
Tracking no 1Z12345E0205271688
Parcel JJD0002233445566
Acct 12345678 sort 20-00-00
Account ending 6789
Serial no. 4165550100
Asset tag 6505550111
Batch 2026031501
Device SN 20260315-0042
Ticket 8005550123 escalated
Booking ref 7735550123
Confirmation # 9175550123
Employee ID 6175550123
Student no 3055550123
Licence 5035550123
Reg. no. 4085550123
Job 7025550123 finished
ISBN 9780306406157
EAN 5901234123457
`;

const machines = String.raw`
{"level":"info","time":"2026-03-03T14:30:00.123Z","event":"tool_call","function":"hold-slot","orgId":"5b0b6b3e-9a53-4a57-8d0e-0d7f8a3e6f21","callId":"019a2f3c-77aa-7bbb-8ccc-123456789012","totalMs":412}
{"toolCallId":"toolu_01HT4155550123abcdEFGH","outcome":"held"}
{"id":"call_kPqXW3o7Rz4155550123","type":"function"}
{"customer":{"number":"⟦PHONE|+447700900701⟧"},"phoneNumber":{"number":"⟦PHONE|+442079460701⟧"}}
{"customer":{"number":"⟦PHONE|7700900702⟧"}}
{"from":"⟦PHONE|+15035550170⟧","to":"⟦PHONE|+15035550171⟧","body":"Your code is ⟦OTP|660142⟧"}
{"patientName":"A","patientPhone":"⟦PHONE|07700 900703⟧","slotId":"consultation/2026-03-03T14:30"}
{"mobile_number":"⟦PHONE|07700900704⟧","order_number":"07700900704x"}
{"contactNumber":"⟦PHONE|5035550172⟧","memberId":"5035550172x"}
{"timestamp":1772548200,"epochMs":1772548200123}
{"created_at":"1772548200","id":"5035550173"}
{"otp":"⟦OTP|660143⟧","attempt":2}
{"verificationCode": "⟦OTP|660144⟧"}
{"code":"⟦OTP|004213⟧"}
{"code": 30007, "message": "Unreachable destination handset"}
{"error":{"code":"21211","message":"Invalid 'To' Phone Number: ⟦PHONE|+447700900705⟧"}}
{"errorCode":"ECONNREFUSED ⟦IP|127.0.0.1⟧:5432"}
connect ECONNREFUSED ⟦IP|10.4.2.19⟧:5432
GET /v1/orders/5035550174 200 41ms
GET /rest/v1/appointments?id=eq.5035550175 200
POST /callback?from=⟦PHONE|07700900706⟧&ref=5035550176 204
GET /lookup?phone=⟦PHONE|+15035550177⟧ 404
2026-03-03 14:30:00,123 INFO [main] request 5035550178 took 12 ms
Mar  3 14:30:00 host sshd[20512]: Accepted publickey for deploy from ⟦IP|198.51.100.23⟧ port 51422
⟦IP|203.0.113.77⟧ - - [03/Mar/2026:14:30:00 +0000] "GET / HTTP/1.1" 200 5123
x-real-ip: ⟦IP|2001:db8:0:1::17⟧
remote=⟦IP|fe80::1ff:fe23:4567:890a⟧
node v22.14.0, deno 2.1.4, postgres 15.20
TypeScript 5.9.2 (build 20260303.1)
Chrome/131.0.6778.86 Safari/537.36
Windows NT 10.0; Win64; x64
OpenSSL 3.0.15 3 Sep 2024
docker image sha256:4155550123abcdef4155550123abcdef4155550123abcdef4155550123abcdef
git commit 4155550 by bot
commit 07700900123abcdef
MAC 3c:22:fb:41:55:55
uuid 41555501-2345-4678-9abc-077009001234
ULID 01J9ZK4155550123ABCDEFGHJK
etag W/"415555012-3a"
Content-Length: 4155550
content-length: 2125550
retry after 1772548260
exp=1772548260 iat=1772544660
port 54321, pid 4155
rows=1000000 loops=3 cost=0.00..41555.50
pg_advisory_lock(4155550123)
offset 4155550123
Stack: at file:///app/shared/tool.ts:212:55
at Object.<anonymous> (/srv/app.js:415:5550)
AC00000000000000000000000000000000
SID SM07700900123070009001230770009001
⟦PHONE|+447700900707⟧ => ⟦PHONE|+447700900708⟧
SMS to ⟦PHONE|+447700900709⟧ failed: 30003
caller=⟦PHONE|+12065550100⟧ called=⟦PHONE|+442079460710⟧ outcome=sent
phone ***56 asked twice
msisdn:⟦PHONE|447700900711⟧
E.164: ⟦PHONE|+4915123456789⟧
sip:⟦EMAIL|+447700900712@sip.example.net⟧
tel=⟦PHONE|0161-496-0713⟧;ext=12
"Phone","Room"\n"⟦PHONE|07700 900714⟧","503"
name,phone,dob\nAda,⟦PHONE|07700900715⟧,1984-03-14
| Ada | ⟦PHONE|07700 900716⟧ | 14:30 |
To: ⟦PHONE|+44 7700 900717⟧\nBody: Your Sunrise Dental code is ⟦OTP|481516⟧. It expires at 14:40.
VAPI phoneNumberId 9f4c1c1e-1234-4abc-9def-415555012345
`;

const messages = String.raw`
hi its Jo, lost my phone so this is my new number ⟦PHONE|07700 900801⟧ x
Hi, reply YES to confirm your appt on Tue 3 Mar at 2:30pm. Call ⟦PHONE|020 7946 0801⟧ to change.
can u ring me bk on ⟦PHONE|07700900802⟧ ta
running 10 mins late, will be there 2:45
Your code is ⟦OTP|118204⟧. Do not share it. Riverside Dental
⟦OTP|118205⟧ is your Sunrise Dental code. It expires at 10:42.
Sunrise Dental: ⟦OTP|118206⟧ is your one-time passcode
Use ⟦OTP|118207⟧ to confirm your appointment on 3 March
STOP to opt out. Msg&data rates may apply. Help: ⟦PHONE|1-800-555-0142⟧
Reminder: Dr Lee 04/03/2026 09:15, 12 Station Road, BN1 1AA. Tel ⟦PHONE|01273 496 0803⟧
text me on ⟦PHONE|0044 7700 900804⟧ im in spain until the 14th
my spanish sim is ⟦PHONE|+34 612 345 678⟧
call ⟦PHONE|(03) 9555 0123⟧ when you land
Ireland mobile ⟦PHONE|087 123 4567⟧
mon portable: ⟦PHONE|06 12 34 56 78⟧
Meine Handynummer ist ⟦PHONE|0151 23456789⟧
whatsapp me ⟦PHONE|+91-98765-43210⟧
+353 number: ⟦PHONE|+353 1 496 0805⟧
whats ur number? ⟦PHONE|07700 900806⟧
landline's ⟦PHONE|0121-496-0807⟧ but mobile's best, ⟦PHONE|07700-900-807⟧
Call me at ⟦PHONE|3035550118⟧ or email ⟦EMAIL|kate@example.org⟧
Cell ⟦PHONE|303.555.0119⟧ / office ⟦PHONE|303.555.0120 x221⟧
u can get me on ⟦PHONE|0 7 7 0 0 9 0 0 8 0 8⟧
its zero seven... no wait, ⟦PHONE|07700 900809⟧
ive had 3 jabs, last one 12/12/2025, batch FE2083
meds: sertraline 50mg, omeprazole 20mg, both 1 a day
paid 1250 on the 3rd, still owe 2,400
flat 4b, 221 high street, SW19 2AB
its 37.8 this morning and 38.2 tonight
bp this week 135/85 141/88 129/82 138/86
bus 452 from stop 7, 20 min
gate code is on the door, floor 3
we're at 51.4545, -2.5879
the total is 12500000 points
got 1234567 steps this month!!
see u 2moro 10ish, room 5
2 for 1 until 31/03
open 7 days 8-8
order 20260303-00417 ready for collection
ur parcel H01HYA0012345678 arrives 12:15-13:15
booking 7XK29Q, seats 14A 14B
ref RX-2026-0303-5550101
Your policy 0077009001 renews 01/04/2026
Invoice 07700900 due
Quote no 5035550188 valid 30 days
1st dose 01.02.2026, 2nd dose 26.04.2026
take 2 at 8am 2 at 2pm 2 at 8pm
the number 42 bus
number of patients: 1234567
I'm number 4 in the queue
rated number 1 in 2024 and 2025
room number 2125
house number 221
bus number 07700
call option 3 then 1
if pain is over 7 call 111, if you cannot breathe call 999
dial 9 for an outside line
in 2023 we saw 2024125 visits
BMI 31.2, waist 104cm
`;

const dictated = String.raw`
My number's ⟦PHONE|oh seven nine, double four, triple one, two three four⟧.
⟦PHONE|zero one two one four nine six zero one eight zero⟧ is the best one to use
you'll get me on ⟦PHONE|oh two oh, seven nine four six, double oh nine one⟧
ring ⟦PHONE|oh eight hundred, one one one, double nine double nine⟧ and ask for Pat
call ⟦PHONE|one eight hundred five five five, oh one oh oh⟧
it's ⟦PHONE|nine one four, five five five, oh one seventy-two⟧
So that's ⟦PHONE|two one two, five five five, zero one four four⟧. Anything else?
the fax is ⟦PHONE|three one two. five five five. zero one nine nine⟧
My cell is ⟦PHONE|eight one eight five five five twelve twelve⟧
⟦PHONE|plus four four, seven seven double oh, nine double oh, eight one one⟧
⟦PHONE|plus forty-four seven seven hundred, nine hundred, eight one two⟧
⟦PHONE|plus three five three, eight seven, one two three, four five six seven⟧ from Ireland
my number in France is ⟦PHONE|zero six, twelve, thirty-four, fifty-six, seventy-eight⟧
⟦PHONE|zero zero four four, seven seven zero zero, nine zero zero, eight one three⟧
number: ⟦PHONE|double oh four four, seven seven double oh, nine double oh eight one four⟧
My phone, ⟦PHONE|oh seven seven, um, double oh, er, nine hundred, eight fifteen⟧, okay?
mobile ⟦PHONE|oh seven double seven, treble oh, eight one six, two⟧
yes it's ⟦PHONE|07 double seven, 0 double 0, 8162⟧
I'm on ⟦PHONE|oh seven seven oh oh... nine oh oh... eight one seven⟧
⟦PHONE|Zero. Seven. Seven. Zero. Zero. Nine. Zero. Zero. Eight. One. Eight.⟧
⟦PHONE|zero, seven, seven, zero, zero, nine, zero, zero, eight, one, nine⟧
⟦PHONE|zero-seven-seven-zero-zero-nine-zero-zero-eight-two-zero⟧
⟦PHONE|Oh Seven Seven Double Oh Nine Double Oh Eight Two One⟧
⟦PHONE|OH SEVEN SEVEN DOUBLE OH NINE DOUBLE OH EIGHT TWO TWO⟧
AI: Could I have your number?\nUser: ⟦PHONE|double five five, one two three four⟧
AI: What's the best phone number for you?\nUser: that'll be ⟦PHONE|nine oh nine, two two one, fourteen hundred⟧
AI: number please\nUser: ⟦PHONE|six oh two⟧\nAI: uh huh\nUser: ⟦PHONE|five five five⟧\nAI: uh huh\nUser: ⟦PHONE|oh one⟧\nAI: yes\nUser: ⟦PHONE|four four⟧
AI: Phone number?\nUser: ⟦PHONE|oh seven seven double oh⟧\nAI: ⟦PHONE|oh seven seven double oh⟧, go ahead\nUser: ⟦PHONE|nine double oh⟧, hang on\nAI: sure\nUser: ⟦PHONE|eight two four⟧
AI: What's the code?\nUser: ⟦OTP|nine four, double six, one three⟧
AI: And the six digit code, please?\nUser: ⟦OTP|triple two, nine oh four⟧
The code they texted is ⟦OTP|one one eight, two oh four⟧.
my passcode: ⟦OTP|eleven eighty two oh four⟧
User: The verification code? ⟦OTP|one, one, eight, two, zero, four⟧
AI: Did you get the code?\nUser: yes ⟦OTP|118204⟧
AI: Read me the code when it arrives.\nUser: ok got it.\nAI: Go ahead.\nUser: ⟦OTP|one one eight two oh four⟧
my social security number is ⟦SSN|five three six, nine oh, four three double nine⟧
AI: Your social?\nUser: ⟦SSN|536 90 4399⟧
NHS number's ⟦NHS|four oh one, oh two three, two one three seven⟧
the card is ⟦CARD|fifty-five fifty-five, fifty-five fifty-five, fifty-five fifty-five, forty-four forty-four⟧
my email's ⟦EMAIL|priya dot nair at hotmail dot co dot uk⟧
email me at ⟦EMAIL|tom hyphen baker at riverside dash clinic dot org⟧
it's ⟦EMAIL|a dot b dot carter seven at icloud dot com⟧
⟦EMAIL|info at sunrise dental dot co dot uk⟧ is the address
one hundred and fifty milligrams at eight, seventy five at noon
blood pressure's one fifty two over ninety four, pulse eighty eight
we saw nineteen of the twenty three on the list
it was the fifth of November twenty twenty four at nine forty
my son's three, he'll be four in two weeks
that's two pounds fifty, or ten pounds for five
it hurts one to two hours after, three or four times a week
I was in bay two, bed seven, ward twelve
between six and eight weeks, maybe nine
page one hundred and two, line sixteen
number two, the second one, and number five
four by four, two by two, six of one and half a dozen of the other
the total came to eleven hundred and forty two dollars and sixteen cents
my flight is BA two one two at fifteen forty five
three two one go
first one then two then three then four tablets
five four three two one, then lift off
seat one four two A
one oh one degrees yesterday, ninety nine point six today
zero point five of a milligram
twenty four seven support
nine one one, what's your emergency
we open at eight, nine on Saturdays, ten on Sundays
my mother is eighty two, my father eighty five, both on ten milligrams
oh five hundred hours
twenty twenty vision in one eye, twenty forty in the other
size ten, size twelve, size fourteen, size sixteen
suite two ten, fourteen hundred Pine Street
nineteen ninety nine, two thousand and three and two thousand and eleven
`;

const forms = String.raw`
Full name: Ada Brown\nDate of birth: 14/03/1984\nPhone: ⟦PHONE|07700 900901⟧\nEmail: ⟦EMAIL|ada@example.com⟧\nNHS number: ⟦NHS|943 476 5919⟧
First Name: Ada\nCell Phone: ⟦PHONE|(415) 555-0119⟧\nSSN: ⟦SSN|219-09-9999⟧\nMember ID: 4155550119\nZIP: 94110-1234
Phone\n⟦PHONE|415 555 0120⟧\nOrder\n8812-4471
Daytime tel no: ⟦PHONE|01632 960902⟧
Evening telephone number (inc. area code): ⟦PHONE|01632 960903⟧
Mobile phone number* ⟦PHONE|07700900904⟧
Tel (home) ⟦PHONE|01632 960905⟧ Tel (work) ⟦PHONE|01632 960906⟧
Contact No. ⟦PHONE|07700 900907⟧
Patient's mobile - ⟦PHONE|07700 900908⟧
Next of kin phone: ⟦PHONE|5550121⟧
Emergency contact number: ⟦PHONE|415-555-0122⟧
Preferred contact: mobile ⟦PHONE|07700 900909⟧
Phone 1: ⟦PHONE|07700 900910⟧, Phone 2: ⟦PHONE|01632 960911⟧
Ph: ⟦PHONE|03 9555 0124⟧
Fax No: ⟦PHONE|020-7946-0912⟧
P: ⟦PHONE|415.555.0123⟧ F: ⟦PHONE|415.555.0124⟧
☎ ⟦PHONE|020 7946 0913⟧
📞⟦PHONE|+44 7700 900914⟧
(T) ⟦PHONE|020 7946 0914⟧
Tel/Fax ⟦PHONE|020 7946 0915⟧
Telephone: ⟦PHONE|+44(0)2079460916⟧
Telephone: ⟦PHONE|+44 (0) 20 7946 0917⟧
Phone: ⟦PHONE|001-415-555-0125⟧
Mobile: ⟦PHONE|(+44) 7700 900918⟧
Mobile: ⟦PHONE|(0)7700 900919⟧
phone: ⟦PHONE|+1.415.555.0126⟧
Phone: ⟦PHONE|1.415.555.0127⟧
Phone: ⟦PHONE|415/555-0128⟧
Phone: ⟦PHONE|4155550129⟧
Home phone: ⟦PHONE|555.0130⟧
+33 (0)6 phone: ⟦PHONE|+33 (0)6 12 34 56 78⟧
Handy: ⟦PHONE|+49 (0)151 23456789⟧
Phone: ⟦PHONE|+1 415 555 0131 ext. 44⟧
Phone: ⟦PHONE|(415) 555-0132 extension 7⟧
Email: ⟦EMAIL|first.last+tag@sub.example.co.uk⟧
E-mail address: ⟦EMAIL|o_brien-99@example.museum⟧
e: ⟦EMAIL|a@b.io⟧; w: example.io
Passcode: ⟦OTP|004417⟧
OTP: ⟦OTP|0044 17⟧
One-time code (6 digits): ⟦OTP|004417⟧
IBAN: ⟦IBAN|GB33BUKB20201555555555⟧
Account no: 55555555 Sort code: 20-20-15
National Insurance No: ⟦NINO|JG103759A⟧
Card no. ⟦CARD|4000-0027-6000-3184⟧
Amex: ⟦CARD|3714 496353 98431⟧
NHS No. ⟦NHS|9434765919⟧
IP address: ⟦IP|192.0.2.44⟧
Date of birth: 03 11 1967
DOB 1967-11-03
D.O.B. 3.11.67
Date: 3 November 1967
Appointment: Mon 02/03/2026 10:30-11:00
Appointment ref: 7700900901
Appointment ID 4155550133
Patient ID: 7700900901
Hospital number: 4155550134
Hospital no. K1234567
Case number: 4155550135
Claim number 4155550136
Insurance ID: 4155550137
Insurance policy number: 415-555-0138
Subscriber #: 4155550139
Group #: 4155550140
NPI: 4155550141
Tax ID: 12-3456789
EIN 12-3456789
VAT: GB 123 4567 89
Company No. 01234567
Charity number 1234567
Postcode: W1A 1AA
Zip code 10001-2345
Address: 4155 Mission St, Apt 550, San Francisco, CA 94112
Address: 10 Downing Street, London
Address: Unit 7, 20-22 Wenlock Road, N1 7GU
Height: 5'11" Weight: 182 lbs
Height 180cm, weight 82kg
Allergies: penicillin (1998), latex (2004)
Last menstrual period 12/01/2026, cycle 28-30 days
Smoker: 10/day x 20 years
Alcohol: 14 units/week
Medications: lisinopril 10 mg daily, metformin 1000 mg BID
Amount due: $2,155.50
Total: £1,234,567.89
Fee: 4155550 JPY
Qty: 1000000
Opening hours: Mon-Fri 0900-1730, Sat 0900-1300
Hours: 9:00 AM - 5:30 PM
Product code 4155550142
Barcode 4155550143
Lot number: 4155550144
Serial number 415-555-0145
UDI-DI 00884838012345
NDC: 12345-678-90
CPT: 30420, 30465
ICD10: S02.2XXA
Version 4.15.555.0
Time zone UTC-05:00
Coordinates: 37.7749,-122.4194
Score: 415/550
Pages 415-550
Years 2015-2020
Temperature 98.6 F
Lab: Na 140 K 4.1 Cl 102 CO2 24 BUN 14 Cr 0.9 Glu 92
`;

const hardNegatives = String.raw`
The appointment is on 2023-01-15 at 123 Main Street.
Appointment confirmed for 01/15/2023 at 2:30 PM with Dr. Smith.
Patient arrived at 08:45:30 and left at 09:15:00.
Check-in 2024-12-31T23:59:59Z, check-out 2025-01-01T00:00:00Z
Date range: 2023-01-01/2023-12-31
Week 12, 2024
Q3 2024 revenue was $1,250,000.00
FY2023-24
15 Jan 2023 10:30:00 GMT
Sun, 15 Jan 2023 10:30:00 +0000
1/15/23 10:30a
Jan. 15th, 2023
the 2023-2024 flu season
from 09.00 to 17.30
0900-1700 hrs
24/7
12:00-13:00 lunch
10:00,10:15,10:30,10:45
8am–6pm Mon–Thu, 8am–4pm Fri
seven thirty a.m.
quarter past ten
at ten to three
twenty past nine
nine hundred hours
fourteen thirty hours
the year two thousand twenty three
in nineteen sixty nine
March third, two thousand twenty four
1600 Pennsylvania Avenue
742 Evergreen Terrace, Springfield 62704
350 Fifth Ave, 21st Floor, New York, NY 10118
10 Downing St, London SW1A 2AA
Apt 4B, 1234 Elm Street, Dallas TX 75201-1234
5550 N Figueroa St
Highway 101, exit 432
I-95 mile 212
Route 66
P.O. Box 123456, Seattle, WA 98124-1234
Building 4155, Suite 5550
12345 Sunset Blvd #201
Unit 12, 400-402 Old Kent Road
Flat 07700
one two three Main Street
twenty two Baker Street
suite four hundred and five
$99.99
$1,234.56
£45 per session, £450 for ten
€1.234,56
USD 1,000,000
cost: 4155550
it's 4500 dollars
twelve hundred and fifty pounds
between $2,000 and $2,500
5% of 1,234,567
$0.99/min
12345.67 total
copay $25, deductible $1500
ibuprofen 400mg every 6-8 hours
amoxicillin 875/125 mg twice daily
levothyroxine 112 mcg
insulin lispro 4-6 units before meals
heparin 5000 units q8h
0.9% NaCl 1000 mL at 125 mL/hr
dose: 10 mg/kg/day divided q6h
prednisone 60-40-20-10-5
methotrexate 7.5 mg weekly
vitamin D 50,000 IU
one tablet three times a day for ten days
take two now, then one every four hours
fifty micrograms per hour
5 mL PO QID x 10 days
epinephrine 1:10,000
1:1000 adrenaline 0.5 mL
lidocaine 1% 10 mL
BP 120/80 mmHg
BP: 135/85 (L), 140/90 (R)
her blood pressure was 118 over 76
pressure is one twenty over eighty
120/80 125/82 130/84 128/80
HR 72 BP 120/80 RR 16 SpO2 98% T 98.6
pulse 72, temp 37.2, resp 16, sats 99
temperature one oh one point four
weight 154 lb (70 kg)
5 ft 10 in, 180 lb
CPT 99213, 99214, 99215
CPT: 15823-50
procedure code 15820
CPT codes 15822 and 15823 were billed
HCPCS G0438, J3490
ICD-10-CM Z00.00
ICD-10 codes: E11.9, I10, J45.909
diagnosis E78.5
DRG 470-2
SNOMED CT 38341003
LOINC 2345-7, 4548-4
ATC code A10BA02
RxNorm 860975
NDC 0069-2587-10
NDC# 12345-6789-01
NDC 00069258710
NDC code 55513-073-01
CVX 208
CVX code 207, MVX PFR
UNII 362O9ITL9D
CAS 50-78-2
HbA1c 6.5
A1C 7.2% (down from 8.1%)
eGFR 58 mL/min/1.73 m2
sodium 138, potassium 4.2, chloride 102, bicarb 24
WBC 12,500
platelets 150000-400000
hemoglobin 13.5 g/dL
TSH 2.45 mIU/L
LDL 130, HDL 45, triglycerides 150
cholesterol 200 over 50
glucose one hundred and twelve
INR two point five
PSA 4.0 -> 5.2 -> 6.8
CA-125 35 U/mL
ABG 7.38/42/88/24
peak flow 350 400 380
20/20 vision, 20/40 corrected
-1.25 -0.50 x 180
sphere -2.00 cyl -0.75 axis 090
OD 43.50/44.25 OS 43.75/44.50
size 7.5, 34C, 36-24-36
Apgar 8/9
gestational age 38w4d
T10-L2 fusion
C-section 2019
grade 2/4
stage IIIB T2N1M0
0/10 pain
7 out of 10
GCS 15 (E4V5M6)
ASA III
NYHA class 2
room 301
Room 12, Bed B
OR 4
exam room three
Ward 7B
extension 1234
ext. 5678
pager 1234
order number 1234567890
Order #12345678901
order 555-1234567
PO# 4500012345
invoice 10042
invoice no 2023-000123
Invoice: 5551234567
ticket 555-123-4567
ticket INC0012345
case ID 5551234567
tracking number 9405511899223197428490
UPS 1Z999AA10123456784
FedEx 123456789012
serial number 5551234567
S/N 555-123-4567
part number 555-1234
model 800-555-1212
confirmation code ABC123
confirmation number 5551234567
reservation 5551234567
account number 1234567890
Account: 5551234567
acct #5551234567
policy 5551234567
policy number POL-5551234567
member ID 123456789
Member #: 5551234567
group 5551234567
subscriber ID 5551234567
claim number 5551234567
claim #2023-5551234
authorization 5551234567
prior auth number 5551234567
referral number 5551234567
prescription 5551234567
Rx number 5551234567
MRN 5551234567
MRN: 123-45-67
MRN #00012345
medical record number 5551234567
patient ID 5551234567
patient number 5551234567
chart number 5551234567
encounter 5551234567
visit number 5551234567
accession number 5551234567
NPI 1234567893
NPI: 1broken
NPI number 1245319599
provider number 5551234567
license number 5551234567
DEA number BS1234567
tax ID 12-3456789
employee 5551234567
student ID 5551234567
vendor 5551234567
customer ID 5551234567
user 5551234567
device 5551234567
batch 5551234567
lot number 5551234567
lot 555-1234
Lot: EN6201, exp 2021-08-31
COVID vaccine lot EW0150
barcode 5551234567890
ISBN 0-306-40615-2
ISBN-13: 978-0-306-40615-7
UPC 012345678905
SKU 555-1234
VIN 1HGCM82633A004352
IMEI 490154203237518
MAC address 00:1B:44:11:3A:B7
UUID 123e4567-e89b-12d3-a456-426614174000
id=123e4567-e89b-12d3-a456-426655550123
request 123e4567e89b12d3a456426614174000
trace 4bf92f3577b34da6a3ce929d0e0e4736
session 5551234567
epoch 1673778600
unix time 1673778600
1673778600 seconds
timestamp: 1673778600000
exp 1673778600
version 2.10.3
v1.2.3-beta.4
release 2023.01.15
Python 3.11.4
iOS 17.4.1 (21E237)
section 4.2.1
chapter 12, verse 7
page 555, line 1234
pages 212-555
table 3-1
score 21-19, 21-17
odds 100/30
ratio 16:9
1024x768
4K 3840x2160
1,000,000
1000000
12 345 678
3.1415926535
6.022e23
-40.5
+1 day
+30 days
x 10
10^6
1/2, 3/4, 7/8
50-50
90 degrees
555 people attended
1234567890 is a number
0123456789
123456789
99999
000000
9 to 5
one in five
two for one
three of them
one or two
nine times out of ten
seven days a week, 365 days a year
a hundred and ten percent
five, ten, fifteen, twenty
two four six eight
1, 2, 3, 4, 5, 6, 7, 8, 9
1-2-3-4-5
100 200 300 400
999
911
112
111
999 or 111
call NHS 111
dial 911
ring nine nine nine
Dial 988 for crisis support
call 101 for non-emergencies
press 0 to speak to an operator
press 1 2 or 3
press one, two or three
option 2
enter your 6 digit code
the code was sent
code expires in 10 minutes
invalid code
error code 404
status code 200
error 500
zip code 90210
postal code 10001
area code 415
country code +44
color code #FF5733
QR code
dress code
promo code SAVE20
discount code 20OFF
CPT code 99213
billing code 99214
door code is posted inside
bar code 0123456789012
source code
code blue
code 99213
sort code 12-34-56
slotId: consultation/2026-03-03T14:30
consultation/2026-03-03T14:30-05:00
rhinoplasty/2026-12-31T09:00
holdId 5f0c7700-9001-4234-8555-012345678901
orgId: 41555501-0000-4000-8000-000000000000
{"slot":"2026-03-03T14:30:00.000Z","duration":30}
{"price":1250,"currency":"GBP"}
{"npi":"1234567893","mrn":"00123456"}
{"invoiceNumber":"5551234567"}
{"order_id":5551234567}
{"trackingNumber":"555123456789"}
{"dob":"1984-03-14","zip":"90210"}
{"vitals":{"bp":"120/80","hr":72,"temp":98.6}}
{"cpt":["99213","99214"],"icd10":["E11.9"]}
{"ndc":"0069-2587-10"}
{"startsAt":1772548200,"endsAt":1772550000}
{"amount":5551234567}
{"lat":51.5007292,"lng":-0.1246254}
{"version":"1.2.3.4"}
`;

const hardPositives = String.raw`
Call me at ⟦PHONE|555-123-4567⟧.
My number is ⟦PHONE|(555) 123-4567⟧
⟦PHONE|555.123.4567⟧
phone: ⟦PHONE|5551234567⟧
⟦PHONE|+1 555 123 4567⟧
⟦PHONE|+1-555-123-4567⟧
⟦PHONE|1-555-123-4567⟧
⟦PHONE|+15551234567⟧
⟦PHONE|+44 7911 123456⟧
⟦PHONE|+447911123456⟧
⟦PHONE|07911 123456⟧
⟦PHONE|07911123456⟧
⟦PHONE|020 7946 0958⟧
⟦PHONE|(020) 7946 0958⟧
⟦PHONE|0207 946 0958⟧
⟦PHONE|+44 (0)20 7946 0958⟧
⟦PHONE|+44(0)7911 123 456⟧
⟦PHONE|0161 496 0000⟧
⟦PHONE|01632 960 001⟧
⟦PHONE|0800 123 4567⟧
⟦PHONE|0345 678 9012⟧
⟦PHONE|+49 30 12345678⟧
⟦PHONE|+33 1 23 45 67 89⟧
⟦PHONE|+81 3-1234-5678⟧
⟦PHONE|+61 2 1234 5678⟧
⟦PHONE|+91 98765 43210⟧
⟦PHONE|+55 11 91234-5678⟧
⟦PHONE|+52 55 1234 5678⟧
⟦PHONE|+7 495 123-45-67⟧
⟦PHONE|+86 10 1234 5678⟧
⟦PHONE|+39 06 1234 5678⟧
⟦PHONE|+34 91 123 45 67⟧
⟦PHONE|+31 20 123 4567⟧
⟦PHONE|+46 8 123 456 78⟧
⟦PHONE|+41 44 123 45 67⟧
⟦PHONE|+353 1 123 4567⟧
⟦PHONE|+27 11 123 4567⟧
⟦PHONE|+972 3-123-4567⟧
⟦PHONE|+90 212 123 45 67⟧
⟦PHONE|+82 2-123-4567⟧
⟦PHONE|00 44 7911 123456⟧
⟦PHONE|011 33 1 23 45 67 89⟧
my number is ⟦PHONE|oh seven nine one one one two three four five six⟧
it's ⟦PHONE|zero two zero, seven nine four six, zero nine five eight⟧
⟦PHONE|five five five, one two three, four five six seven⟧ is my number
call me on ⟦PHONE|double oh double four seven nine double one, one two three, four five six⟧
my phone number is ⟦PHONE|five five five twelve thirty four⟧
the number is ⟦PHONE|eight hundred five five five one two one two⟧
⟦PHONE|one eight hundred, two two two, three three three three⟧
my cell is ⟦PHONE|four oh eight, five five five, twenty three ninety nine⟧
it's ⟦PHONE|oh seven eight triple zero one two three four five⟧
it's ⟦PHONE|07911, double one, double two, double three⟧
⟦PHONE|07911 one two three four five six⟧
reach me at ⟦PHONE|415 five five five 0199⟧
AI: What is the best phone number to reach you at?\nUser: It's ⟦PHONE|555-0123⟧.
AI: what's your number?\nUser: ⟦PHONE|oh seven seven double oh⟧\nAI: yes\nUser: ⟦PHONE|nine hundred⟧\nAI: yes\nUser: ⟦PHONE|one two three⟧
AI: Can I get your callback number?\nUser: ⟦PHONE|five five five⟧\nAI: Uh-huh.\nUser: ⟦PHONE|one two three four⟧
Assistant: May I have your phone number?\nCaller: yes it's area code ⟦PHONE|four one five five five five two six seven one⟧
AI: Thanks. And your mobile?\nUser: ⟦PHONE|zero seven, nine one one, one two three, four five six⟧. Got that?
User: My number's ⟦PHONE|07911 123 456⟧, my order number is 5551234567
User: born 14/03/1984, number ⟦PHONE|07911 123457⟧, postcode SW1A 1AA
email: ⟦EMAIL|john.smith@example.com⟧
⟦EMAIL|jane_doe+test@mail.example.co.uk⟧
⟦EMAIL|john dot smith at gmail dot com⟧
⟦EMAIL|j smith at hotmail dot com⟧
my email is ⟦EMAIL|john underscore smith at yahoo dot com⟧
it's ⟦EMAIL|info at clinic dot org⟧
AI: What's your email address?\nUser: ⟦EMAIL|john smith at example dot com⟧
AI: email?\nUser: it's ⟦EMAIL|jsmith eighty four at gmail dot com⟧
⟦EMAIL|JOHN.SMITH@EXAMPLE.COM⟧
"⟦EMAIL|john@example.com⟧"
mailto:⟦EMAIL|a@example.com⟧,⟦EMAIL|b@example.com⟧
Card: ⟦CARD|4111 1111 1111 1111⟧
⟦CARD|4111-1111-1111-1111⟧
⟦CARD|4111111111111111⟧
amex ⟦CARD|378282246310005⟧
⟦CARD|3782 822463 10005⟧
mastercard ⟦CARD|5555555555554444⟧
discover ⟦CARD|6011 1111 1111 1117⟧
my card number is ⟦CARD|four one one one, one one one one, one one one one, one one one one⟧
NHS number: ⟦NHS|943 476 5919⟧
NHS: ⟦NHS|9434765919⟧
my NHS number is ⟦NHS|nine four three four seven six five nine one nine⟧
NHS number ⟦NHS|943-476-5919⟧
SSN: ⟦SSN|123-45-6789⟧
⟦SSN|123-45-6789⟧
social security number ⟦SSN|123456789⟧
my social is ⟦SSN|one two three, four five, six seven eight nine⟧
SSN ⟦SSN|123 45 6789⟧
National Insurance number: ⟦NINO|AB123456C⟧
NI number ⟦NINO|AB 12 34 56 C⟧
my NI number is ⟦NINO|A B one two three four five six C⟧
IBAN: ⟦IBAN|GB29 NWBK 6016 1331 9268 19⟧
⟦IBAN|GB29NWBK60161331926819⟧
⟦IBAN|DE89370400440532013000⟧
⟦IBAN|FR1420041010050500013M02606⟧
IP: ⟦IP|192.168.1.1⟧
from ⟦IP|203.0.113.195⟧
⟦IP|8.8.8.8⟧ is the DNS server
client IP ⟦IP|1.2.3.4⟧
⟦IP|2001:0db8:85a3:0000:0000:8a2e:0370:7334⟧
⟦IP|2001:db8::1⟧
⟦IP|fe80::1⟧%eth0
Your verification code is ⟦OTP|123456⟧
Your code: ⟦OTP|123456⟧
OTP: ⟦OTP|123456⟧
PIN ⟦OTP|1234⟧
passcode is ⟦OTP|482913⟧
the code is ⟦OTP|four eight two nine one three⟧
AI: Please tell me the six-digit code.\nUser: ⟦OTP|four eight two nine one three⟧.
AI: What's the code?\nUser: ⟦OTP|482 913⟧
AI: Please read back the verification code I sent\nUser: It says ⟦OTP|four eight two, nine one three⟧
my one time password is ⟦OTP|482913⟧
⟦OTP|482913⟧ is your verification code
code ⟦OTP|482913⟧ entered
The one-time passcode ⟦OTP|482913⟧ was sent to ⟦PHONE|+447911123456⟧
{"phone":"⟦PHONE|+15551234567⟧","code":"⟦OTP|482913⟧"}
{"email":"⟦EMAIL|john@example.com⟧","ip":"⟦IP|203.0.113.195⟧"}
{"patient":{"phone":"⟦PHONE|555-123-4567⟧","mrn":"12345678"}}
{"ssn":"⟦SSN|123-45-6789⟧","nhs":"⟦NHS|9434765919⟧"}
{"otp":"⟦OTP|482913⟧","phoneNumber":"⟦PHONE|07911123456⟧"}
`;

const heard = String.raw`
It's 0-7-7-0-0, no sorry, ⟦PHONE|0-7-7-0-0-9-0-0-1-2-3⟧.
My number is ⟦PHONE|07,700,900,123⟧.
my number is ⟦PHONE|212, 555, 0143⟧
it's ⟦PHONE|2 1 2, 5 5 5, 0 1 4 3⟧
number's ⟦PHONE|212. 555. 0143⟧
⟦PHONE|07 70 09 00 12 3⟧ is my mobile
my mobile ⟦PHONE|7700 900123⟧
call ⟦PHONE|(0)7700-900-123⟧
phone ⟦PHONE|555 01 43⟧
It's ⟦PHONE|415-555-2671, extension 22⟧.
⟦PHONE|07700 900123⟧ between 9 and 5, or after 7
try ⟦PHONE|07700 900123⟧ from 9 to 5.30
I'm on ⟦PHONE|020 7946 0123⟧ until 5.30pm
⟦PHONE|07700900123⟧ 07/03/2026 14:30
07/03/2026 14:30 ⟦PHONE|07700900123⟧
<phone>⟦PHONE|07700900123⟧</phone><orderId>5551234567</orderId>
<td>⟦PHONE|(415) 555-2671⟧</td><td>$415.55</td>
"transcript":"AI: What's your number?\\nUser: ⟦PHONE|5550143⟧\\nAI: Thanks."
"AI: And the code?\\nUser: ⟦OTP|482913⟧"
Ada,⟦PHONE|07700900123⟧,2026-03-03,consultation
Phone ⟦PHONE|07700 900123⟧ Order 5551234567
943 is not enough, it's ⟦NHS|943 476 5919⟧ (NHS number)
⟦CARD|4111 1111 1111 1111⟧ 12/27 ⟦CARD|123⟧
⟦CARD|4111111111111111⟧|12|27|⟦CARD|123⟧
http://⟦IP|192.168.0.1⟧:8080/path/12
[⟦IP|2001:db8::5⟧]:8443
電話番号は⟦PHONE|03-1234-5678⟧です
我的电话是⟦PHONE|+86 138 0013 8000⟧。
Мой номер ⟦PHONE|+7 916 123-45-67⟧
رقمي ⟦PHONE|٠٧٧٠٠ ٩٠٠١٢٣⟧
téléphone : ⟦PHONE|06.12.34.56.78⟧
Tel: ⟦PHONE|0049 (0)30 123456⟧
The clinic's (⟦PHONE|020 7946 0123⟧, open 9-5, £50) is full
two phones: ⟦PHONE|07700 900123⟧ or ⟦PHONE|07700 900124⟧, 10 am to 4 pm
⟦PHONE|07700 900123⟧ 07700
Her number used to be ⟦PHONE|01632 960123⟧ but in 2019 she moved to 12 High Street
not ⟦PHONE|07700 900123⟧ but ⟦PHONE|07700 900132⟧
sorry ⟦PHONE|oh seven seven double oh nine double oh one two⟧... no
⟦PHONE|+44 7700 900123⟧ (call after 6), NHS ⟦NHS|943 476 5919⟧, DOB 3/4/80
My home number is ⟦PHONE|020 7946 0123⟧ and my room number is 212
I have three numbers, ⟦PHONE|07700 900123⟧ is the best
I got your text at 2:15 from ⟦PHONE|07700 900123⟧ with code ⟦OTP|482913⟧
The code 482913x does not work
Please call ⟦PHONE|0800 1111⟧ to talk to Childline
1300 number: ⟦PHONE|1300 123 456⟧
Samaritans 116 123 is free
call me between nine thirty and ten forty five
text me at one thirty, two thirty, three thirty
ring me on the third at two thirty or the fourth at ten fifteen
call me back at four thirty or five fifteen, or at six
call me in five, ten or fifteen minutes
phone me after eight forty five and before nine fifty five
call them at 9:30, 10:45 and 12:15
call between 9 30 and 10 45
AI: What's your phone number?\nUser: I'm at work until five thirty, then home at six forty five
AI: What's the best number?\nUser: why do you need it? I was born on 14 03 1984
AI: Can I have your number?\nUser: I'd rather not. Can we do the 3rd at 2:30?
AI: Is this the best number?\nUser: Yes, the one ending 0123.
phone consultation, 45 minutes, 2026-03-03, £120
telephone appointment at 09:15 on 12/03/2026 with Dr 2
Sats 98 97 96 98 97 95
BP 120 80 118 76 122 81
call about BP 120 80 118 76
contact dermatitis since 2019, 2020 and 2021
mobile unit 12, 415 patients in 2025
cell count 4500000 per mL
red cell count 4.52, white cell count 7.21
phone battery 4500 mAh
the line at L4-L5, 12 mm
fax machine model 4155
called 12 times in 30 days
texted 3 times: 10:15, 10:20, 10:25
call volume 1250000 in 2025
call duration 1845 seconds
number needed to treat: 1250
number of cells 1234567
contact 1: 2026-01-01, contact 2: 2026-01-08
Numbers 3:16
the numbers were 12, 15, 18, 21, 24, 27
phone case 5551234
It's ⟦PHONE|5550143⟧. That's my number.
that's 1234567. This is my second visit.
`;

const transcripts = String.raw`
AI: Thank you for calling Sunrise Dental, how can I help?\nUser: Hi, I'd like to book a cleaning, ideally next Tuesday, the third, after two.\nAI: We have two fifteen, two forty five and three thirty on Tuesday the third of March.\nUser: Two forty five works.\nAI: Great. May I have your name?\nUser: Ada Brown.\nAI: And the best phone number for you?\nUser: Sure, it's ⟦PHONE|oh seven seven double oh⟧, um\nAI: Okay.\nUser: ⟦PHONE|nine hundred⟧\nAI: Yes?\nUser: ⟦PHONE|one two three⟧.\nAI: I've texted a six digit code to the number ending one two three. Could you read it to me?\nUser: It's ⟦OTP|four eight two, nine one three⟧.\nAI: You're booked for Tuesday the third of March at two forty five with Doctor Lee, room two oh four. It costs sixty five pounds. Anything else?\nUser: No, that's all, thanks.
AI: Hudson Plastic Surgery, this is the assistant.\nUser: I need to move my consultation from March third at two thirty PM to the tenth.\nAI: Of course. What number was it booked under?\nUser: ⟦PHONE|two one two, five five five, oh one four three⟧.\nAI: That's ⟦PHONE|212-555-0143⟧, right?\nUser: Right.\nAI: On the tenth I have nine, ten thirty, or one fifteen.\nUser: Ten thirty. By the way I take 20 mg of lisinopril, twice a day, and my last blood pressure was 138 over 86.\nAI: Noted. I've sent a code to your phone.\nUser: Okay. ⟦OTP|6 0 1 4 4 2⟧.\nAI: Done. Your reference is 5551234567, and our address is 350 Fifth Avenue, Suite 4100, New York, 10118.
Agent: Date of birth?\nCaller: Fourteenth of March nineteen eighty four.\nAgent: And the first line of your address?\nCaller: One twenty two Baker Street.\nAgent: Postcode?\nCaller: N W one six X E.\nAgent: Your NHS number, if you have it?\nCaller: ⟦NHS|nine four three, four seven six, five nine one nine⟧.\nAgent: And an email?\nCaller: ⟦EMAIL|ada dot brown at outlook dot com⟧.\nAgent: When did the pain start?\nCaller: Two or three weeks ago, it's about seven out of ten.\nAgent: Have you taken anything?\nCaller: Two ibuprofen, four hundred milligrams, three times a day for five days.
AI: How can I help?\nUser: I was given a reference, it's 4471902836, for an appointment on the 12th at 9:40.\nAI: I don't find it. What's your mobile number?\nUser: ⟦PHONE|07700 900 321⟧\nAI: And the last four digits of the card you paid with?\nUser: 4242\nAI: Thank you, I see it: 12 March, 9:40, £85, order 20260312-0007.
AI: What's your phone number?\nUser: It's area code ⟦PHONE|six one seven⟧.\nAI: ⟦PHONE|Six one seven⟧, okay.\nUser: ⟦PHONE|Five five five, oh one eight eight⟧.\nAI: And is that a mobile?\nUser: Yes.\nAI: What time suits you, 9:15 or 11:45?\nUser: 11:45.
User: Do you accept Blue Cross? My member ID is 5551234567 and the group is 0012345.\nAI: We do. Your copay is $25. What's a good callback number?\nUser: ⟦PHONE|5552368⟧, same area code as yours.
`;

const calls = String.raw`
AI: Good morning, Riverside Clinic. How may I help you today?\nUser: Yeah hi, my name's Tom and I need to see someone about my knee.\nAI: I'm sorry to hear that. How long has it been hurting?\nUser: About six weeks, maybe seven or eight. It's worse after nine or ten miles.\nAI: I can offer Thursday the fifth at nine fifteen, ten thirty or eleven forty five.\nUser: Ten thirty please.\nAI: And a contact number?\nUser: ⟦PHONE|Zero one nine one, four nine six, zero six double two⟧.\nAI: Thanks, Tom.
AI: What's a good number in case we get disconnected?\nUser: You can use the one I'm calling from.\nAI: The one ending four five six?\nUser: That's right.\nAI: I've sent a text with a passcode. Please read it out.\nUser: Hold on, two messages. Okay. It says ⟦OTP|seven two nine, one one four⟧.\nAI: Thank you, that matches.
AI: Which service would you like?\nUser: Rhinoplasty consultation.\nAI: With any doctor? We have three: Doctor Lee, Doctor Shah and Doctor Okafor.\nUser: Shah.\nAI: The next dates are March ninth, tenth and twelfth, at one fifteen, two thirty and four forty five.\nUser: The twelfth at four forty five.\nAI: The consultation is two hundred and fifty dollars. Phone number?\nUser: ⟦PHONE|Six four six, five five five, zero one seven seven⟧.\nAI: Did you say ⟦PHONE|six four six, five five five, zero one seven seven⟧?\nUser: Yes.
Caller: I'd like to cancel my appointment on the third of April at eleven twenty.\nReceptionist: Sure, what's the mobile on file?\nCaller: ⟦PHONE|07911 123 987⟧.\nReceptionist: And your date of birth?\nCaller: 12 11 79.\nReceptionist: Thanks. Cancelled. Your reference is RC 4410 2233.
Patient: I was told to fast for twelve hours, from eight pm to eight am.\nNurse: Correct, water is fine. Your cholesterol was 5.8 and your sugar 6.1 last time.\nPatient: And my pressure?\nNurse: One thirty eight over eighty six, then one thirty two over eighty four.\nPatient: Can you ring me with the results?\nNurse: On ⟦PHONE|oh seven nine one one, one two three, nine eight eight⟧?\nPatient: Yes, that one.
AI: To confirm, it's Wednesday the eleventh of March at 3:45 PM with Dr Patel at 14 Harley Street, W1G 9PQ.\nUser: Great. How much is it?\nAI: It's £180, or £1,620 for ten sessions.\nUser: And parking?\nAI: Bay 12 to 20, code ⟦OTP|4411⟧ at the barrier.\nUser: Thanks. You've got my email, right, it's ⟦EMAIL|r dot ahmed at icloud dot com⟧?\nAI: Yes.
User: I keep getting code 30007 or something on your texts.\nAI: I'm sorry. Shall I try another number?\nUser: Try my wife's, ⟦PHONE|oh seven seven double oh nine double oh three one one⟧.\nAI: Done. What is the code?\nUser: ⟦OTP|5 5 0 1 9 2⟧.
AI: Hello?\nUser: Hello, do you do flu jabs? I had batch 370123 last year, on the 12th of October 2024.\nAI: We do, every day from 9 to 12 and 2 to 5.\nUser: Okay. I'm 67 by the way, 82 kilos.\nAI: Wonderful. May I take your number?\nUser: It's ⟦PHONE|oh two nine two oh one eight oh five five five⟧.
AI: Please say or type your code.\nUser: User's Keypad Entry: ⟦OTP|660142⟧\nAI: Thank you. You are booked for 2026-03-03 at 14:30.
AI: Could I take your phone number, please?\nUser: I don't have one.\nAI: No problem. Which day?\nUser: The 14th, anything from 1 to 3, or the 15th, 10 to 12.
AI: May I have your phone number?\nUser: ⟦PHONE|Plus four four⟧.\nAI: Yes.\nUser: ⟦PHONE|Seven seven double oh⟧.\nAI: Okay.\nUser: ⟦PHONE|Nine hundred⟧.\nAI: And?\nUser: ⟦PHONE|Four four one⟧.
AI: Is it for an adult?\nUser: No, for my daughter, she's four, five in May.\nAI: And your number?\nUser: ⟦PHONE|Five oh three, five five five, oh one oh four⟧, extension two.\nAI: Thanks.
`;

const notes = String.raw`
64F with T2DM (HbA1c 58 on 12/01/2026), HTN 152/94 -> 138/86, on metformin 1 g BD, ramipril 5 mg. Seen 10:40, room 3. Daughter Mary ⟦PHONE|07911 123 456⟧ to be called with results; GP surgery ⟦PHONE|0117 496 0222⟧. R/V 6/52.
S: knee pain x 6/12, 7/10. O: ROM 0-110, effusion +. X-ray 14/02/2026 KL grade 3. P: physio x 6, paracetamol 1 g QDS, steroid inj 40 mg/1 mL lot 7K2291 exp 09/2027. Tel review 21/03/2026 09:20 on ⟦PHONE|01632 960 444⟧.
Op note 2026-02-19 08:15-10:05: septorhinoplasty, EBL 50 mL, LA 1% lidocaine w/ 1:100,000 epi 10 mL, 5-0 Prolene x 4, 6-0 fast gut. CPT 30420, 30465. ICD-10 J34.2, M95.0. Implant ref 415-5550-12, lot 20260104.
Discharge: codeine 30 mg 1-2 QDS PRN (max 240 mg/24 h), amoxicillin 500 mg TDS 7/7. Ring ward 7 on ⟦PHONE|020 7946 0777⟧ if temp > 38.5 or pain > 8/10; out of hours 111; emergency 999.
Labs 03/03/2026 07:55: Na 141, K 4.4, Cl 103, HCO3 25, Ur 5.9, Cr 84 (eGFR 78), Ca 2.31, Alb 42, ALT 28, ALP 71, Bil 9, CRP <5, Hb 141, WCC 6.31, Plt 262, INR 1.0
Imm hx: DTaP 2/4/6/18 mo, MMR 12 mo lot 0664AA, COVID 14/03/2021 (EP2163) and 30/05/2021 (ET8885), flu 10/2025.
Allergies: PCN (rash 1998). Soc: 20/day x 15 yr (15 pk-yr), ETOH 10 u/wk. Fam: MI father 54. BMI 31.4 (94.2 kg/173 cm).
Contact prefs: SMS ⟦PHONE|07911 123 455⟧; email ⟦EMAIL|k.lee@example.com⟧; do not call ⟦PHONE|020 7946 0811⟧ (work). NHS ⟦NHS|401 023 2137⟧. NI ⟦NINO|QQ 12 34 56 C⟧.
Insurance: Aetna W2134 55012, group 0861234-010-00001, auth 4410223355 valid 03/01/2026-06/30/2026, ph ⟦PHONE|1-800-555-0155⟧, fax ⟦PHONE|(800) 555-0156⟧.
Rx: NDC 00071-0155-23, atorvastatin 10 mg #30, 3 RF, NPI 1234567893, DEA BS1234563, pharmacy ⟦PHONE|415-555-0122⟧, store #4155.
Theatre 2, 0830 start, pt 3 of 5; consent 4/12; WHO checklist 08:22; ASA 2; Mallampati 2; ETT 7.0 @ 21 cm; TV 450, RR 12, PEEP 5, FiO2 0.4, MAC 1.0
Growth: 3.45 kg (50th), 51 cm, HC 34.5; bili 182 @ 48 h; feeds 8 x 45 mL; next wt 10/03
PMH: CABG x3 2014, TIA 2019, AF (CHA2DS2-VASc 4, HAS-BLED 2), warfarin 3 mg/4 mg alt days, INR 2.3 2.6 2.1 2.4
Eye: VA 6/12 6/9, IOP 14/15 @ 10:30, axial length 23.45/23.51, IOL +21.5 D, SN 12345678.042
`;

const mixed = String.raw`
Jan 15, 2023 at 2:30 PM, phone ⟦PHONE|555-867-5309⟧, ref ABC-123-4567
It's ⟦PHONE|five five five, one two three, four five six seven⟧
⟦PHONE|555 123 4567⟧
Tel-⟦PHONE|07700 900123⟧, Mob-⟦PHONE|07700900124⟧
home/⟦PHONE|07700 900123⟧
thanks.⟦PHONE|07700900123⟧
call me.⟦PHONE|212-555-0143⟧
⟦PHONE|1-800-MY-APPLE⟧ is ⟦PHONE|1-800-692-7753⟧
call ⟦PHONE|1-800-MY-APPLE⟧ please
⟦PHONE|1-877-KARS-4-KIDS⟧
⟦PHONE|0800 REVERSE⟧ is free
Form W-9, Title IX, Section 8-A
I was given the code ⟦OTP|884213⟧ but it said expired
the text said ⟦OTP|884 213⟧, I think that's the code
is it ⟦OTP|884213⟧? that's the passcode I have
my security code's ⟦OTP|8842⟧
CVV 884
enter ⟦OTP|884213⟧ when asked
type in ⟦OTP|884213⟧ as your PIN
2FA: ⟦OTP|884213⟧
Your Vapi login code is ⟦OTP|884213⟧
Use code ⟦OTP|884213⟧ to sign in
Amazon: ⟦OTP|884213⟧ is your one time password
<#> ⟦OTP|884213⟧ is your verification code. FA+9qCX9VSu
Auth code: ⟦OTP|88421377⟧
reset code ⟦OTP|8842-1377⟧
wrong otp: ⟦OTP|884213⟧ != ⟦OTP|884214⟧
the procedure codes are 884213 and 884214
country code 353, area code 87
error code 884213
reason code 884213 from the lab
the postcode is 884213
room code 12
code red at 14:30
I have code 30 on my chart
Class code 8842, dept code 13
the building code of 2019
genetic code 101
the code is in the email
88421377 steps
my email's ⟦EMAIL|k dot lee at nhs dot net⟧
write to ⟦EMAIL|bookings at sunrise dental dot com⟧
⟦EMAIL|k.lee[at]example.com⟧
⟦EMAIL|k.lee (at) example (dot) com⟧
⟦EMAIL|k.lee@example.com⟧ is wrong
user@host
find us on instagram at sunrise dot dental
the clinic is at sunrise dot com
we met at nine dot thirty
see example.com/contact or call
@sunrise_dental on X
it's double u dot smith at gmail
that's ⟦EMAIL|w smith 84 at btinternet dot com⟧
⟦EMAIL|maria-jose.o'brien@sub-domain.example.ie⟧
⟦EMAIL|git@github.com⟧:acme/app.git
postgres://app:⟦EMAIL|secret@db.example.com⟧:5432/app
my Monzo is ⟦IBAN|GB33 BUKB 2020 1555 5555 55⟧
GB33 BUKB 2020 1555 5555 56
NL91ABNA0417164301
⟦NINO|AA 00 00 00 A⟧ is made up
AB123456 only
TN 123456 A
part no AB 12 34 56 C7
⟦NINO|JM 40 24 26 D⟧, pay grade B
serial AB123456CX
⟦SSN|078-05-1120⟧ was on a wallet
078-05-11203
9 digit number 078051120
SSN on file: ⟦SSN|078051120⟧
social services number 219555019
ITIN 912-34-5678
EIN 07-8051120
card ⟦CARD|6304 0000 0000 0000⟧
card declined: ⟦CARD|4000000000000002⟧
gift card 6006491234567890128
4000 0000 0000 0003
IMEI 490154203237518
⟦CARD|36227206271667⟧ is Diners
⟦IP|172.16.254.1⟧ and ⟦IP|10.1.2.3⟧/24
172.16.254.1.5
999.1.1.1
v10.1.2.3
nginx/1.25.3.1
address ⟦IP|1.1.1.1⟧
step 1.1.1.1 of the guide
::
a::b
12:34:56:78
`;

// Number signs, labels inside a phone phrase, the letter O, negative numbers, hours, scores, page
// ranges, corrections and homophones, the digits on the back of a card; half of them harmless.
const lines = String.raw`
cell # ⟦PHONE|212-555-0199⟧
phone #⟦PHONE|07700900456⟧
fax # ⟦PHONE|212-555-0199⟧
contact # ⟦PHONE|212 555 0199⟧
Phone # ⟦PHONE|212-555-0199⟧
ph# ⟦PHONE|212.555.0199⟧
mobile # : ⟦PHONE|07700 900456⟧
Tel #: ⟦PHONE|(212) 555-0199⟧
callback # is ⟦PHONE|2125550199⟧
her cell # is ⟦PHONE|212-555-0199⟧, order # is 2125550199
home # ⟦PHONE|212-555-0199⟧ work # ⟦PHONE|212-555-0198⟧
Emergency contact #: ⟦PHONE|555-0199⟧
call # ⟦PHONE|212-555-0199⟧ before noon
my # is ⟦PHONE|212-555-0199⟧
best # to reach her ⟦PHONE|212-555-0199⟧
whatsapp #⟦PHONE|07700 900456⟧
Patient's # ⟦PHONE|212-555-0199⟧
their direct # ⟦PHONE|020 7946 0123⟧
(cell #) ⟦PHONE|212-555-0199⟧
Phone #1: ⟦PHONE|212-555-0199⟧, Phone #2: ⟦PHONE|212-555-0198⟧
order # 212-555-0199
case #212-555-0199
chart # 2125550199
claim # 4155550107
room # 2125
MRN # 2125550199
acct # 2125550199
Rx # 2125550199
group # 2125550199
apt #212, 550 Fifth Avenue
pt # 4155550199
unit #4155
Ref # 07700 900456
tooth #30, tooth #14 and #19
suture #4-0, blade #15, #10 blade
issue #4155550199
the number on the order is ⟦PHONE|212-555-0199⟧
the number for the order is ⟦PHONE|07700 900456⟧
the number we have on the booking is ⟦PHONE|07700 900456⟧
the phone number on my account is ⟦PHONE|212-555-0199⟧
the mobile on my prescription is ⟦PHONE|07700 900456⟧
the number on the claim form is ⟦PHONE|4155550199⟧
the contact number on the invoice is ⟦PHONE|4155550199⟧
my phone number for the account is ⟦PHONE|4155550199⟧
the number listed on the policy is ⟦PHONE|020 7946 0123⟧
the number on the referral was ⟦PHONE|01632 960123⟧
number under the reservation: ⟦PHONE|212 555 0199⟧
the number attached to my member account is ⟦PHONE|two one two, five five five, oh one nine nine⟧
call me about the order on ⟦PHONE|4155550199⟧
the phone in the chart is ⟦PHONE|212-555-0199⟧
AI: What's the phone number on the account?\nUser: ⟦PHONE|4155550199⟧
AI: Which number is on the booking?\nUser: it's ⟦PHONE|07700 900456⟧
the number of the order is 212-555-0199
the order's number is 4155550199
the number on the order form is the order number, 4155550199
the account number on the phone bill is 4155550199
the order I phoned about is 4155550199
the reference on the text was 4155550199
the serial number on the phone is 4155550199
the claim number on the letter is 4155550107
my policy number on the card is 4155550104
the number on the ticket
⟦PHONE|O7700 9OO456⟧ is my number
my mobile is ⟦PHONE|O7700 900456⟧
⟦PHONE|O77OO 9OO 456⟧
call ⟦PHONE|O2O 7946 O123⟧
tel ⟦PHONE|(O2O) 7946 0123⟧
⟦PHONE|+44 77OO 9OO456⟧
⟦PHONE|212-555-O199⟧ is her cell
fax ⟦PHONE|O1632 96O123⟧
mobile: ⟦PHONE|o7700 9oo456⟧
code ⟦OTP|4829O1⟧
your code is ⟦OTP|O48213⟧
O2 sats 98, CO2 24, H2O 500 mL
blood group O+, O- donor, O positive
O2 at 2 L/min, SpO2 97, O2 2 4 6 8 L
part O4155 and O-ring 12
order O4155550123
Group O, type 2, O 1 2 3
M2O tubing 7O0
epoch -2208960000, then 0
-2208960000,
{"iat":-2208960000,"exp":-2208956400}
born at -1009843200, now 1772548200
offset -2125550199, limit 50
(-2125550199)
delta=-4155550199;
balance -2125550199.
from -2208988800 to 1700000000
t = −2208988800
seconds: -2208960000, 0, 86400
x=-4155550199,y=-2125550199
Tel-⟦PHONE|07700 900123⟧
fax: -⟦PHONE|212-555-0199⟧
- ⟦PHONE|2125550199⟧ is my cell
opening hours 0800 - 1700
0800 - 1700 Monday to Friday
open 0900-1730, closed 1200 - 1300
Clinic hours: 0830 – 1715
Sat 0900 to 1300
hours are 0800 1700
Mon 0800 - 1200, 1300 - 1700
call between 0800 - 1700
phone lines open 0800 - 1800
Telephone hours: 0800 - 1830 weekdays
ring us 0900 - 1700 on weekdays
phones are answered 0830 - 1230 and 1330 - 1730
Visiting 1400 - 1600, 1800 - 2000
theatre 0830 - 1245
AI: When can I call?\nUser: 0900 - 1700
on call 2000 - 0800
shift 0730 - 1930 - 0730
Tel ⟦PHONE|0800 1700⟧ 
the score was 21 19 21 17
won 6-4 7-6 3-6 7-5
6-4, 3-6, 7-6, 6-2
final score 103 - 98
call me after the match, it's 21 19 19 21 21 18
they phoned it in: 6 3 6 4 7 5
score 25-23 25-20 22-25 25-19
set scores 6 4, 6 3, 7 5
beat them 110 - 102, 98 - 95, 104 - 99
pages 112-118, 2019
pp. 1123-1129, 2021
J Plast Surg 2019;72(4):555-561
2020; 145: 1017-1025
Br Dent J 2018;225:1123-1129
N Engl J Med 2015 373 1234 1243
pages 212 to 219, 2003 edition
Lancet 2019, 394, 1145 - 1158
see pages 555-561 (2019)
Vol 12, No 3, 2018, pp 123-130
doi 10.1016/j.bjps.2019.07.001
my number is ⟦PHONE|oh seven seven double oh nine, sorry, nine double oh one two three⟧
⟦PHONE|oh seven seven double oh, nine double oh, one two four, no sorry, one two three⟧ is my mobile
it's ⟦PHONE|oh seven seven oh oh nine hundred one two, I mean one three, four⟧
call me on ⟦PHONE|07700 900 124, correction, 123⟧
my number is ⟦PHONE|double oh nine, sorry, oh seven seven double oh nine double oh one two three⟧
my cell is ⟦PHONE|two one two, five five six, sorry, five five five, oh one nine nine⟧
it's ⟦PHONE|07700 900, no wait, 901 123⟧
you can reach me on ⟦PHONE|oh one six three two, nine six one, no, nine six oh, one two three⟧
phone ⟦PHONE|212 555, make that 556, 0199⟧
AI: Your number?\nUser: ⟦PHONE|two one two five five five oh one, no, oh two nine nine⟧
my number's ⟦PHONE|zero seven seven zero zero, nine zero one, scratch that, nine zero zero, four five six⟧
⟦PHONE|07700 900123⟧, sorry, ⟦PHONE|07700 900124⟧
I take two, no, three tablets, sorry, four, at eight
it was the third, no, the fourth of May, 2019, sorry, 2020
BP 120 over 80, sorry, 130 over 85
three two, sorry, three four weeks ago
at nine fifteen, no, nine thirty or ten, sorry, ten fifteen
my number is ⟦PHONE|oh seven seven double oh nine hundred for five six⟧
call me at ⟦PHONE|two won two five five five oh one two four⟧
it's ⟦PHONE|oh seven seven double oh nine double oh won to three⟧
⟦PHONE|zero to zero seven nine for six zero won to three⟧ is the landline
my mobile is ⟦PHONE|oh seven ate seven for five six one to three too⟧
AI: Your number please?\nUser: for ⟦PHONE|one five five five five oh won nine ate⟧
my cell is ⟦PHONE|six one seven five five five oh one two for⟧.
reach me on ⟦PHONE|oh seven seven double oh nine double oh one two three⟧ to book
call ⟦PHONE|oh seven seven double oh nine double oh one two three⟧ for details
my number is ⟦PHONE|07700 900123⟧ to be used for two weeks
take one to two tablets for three to four days, two to three times
one for you, two for me, three too many
we won two to one and ate at four
from nine to five, for one to two hours, up to six to eight weeks
four to six units, two to four hours before, for five to seven days
Card: ⟦CARD|4111 1111 1111 1111⟧ exp 09/28 cvv ⟦CARD|123⟧
card ⟦CARD|4242 4242 4242 4242⟧, expires 12/27, CVC ⟦CARD|737⟧
⟦CARD|4111111111111111⟧|12|27|⟦CARD|123⟧
my card is ⟦CARD|4111 1111 1111 1111⟧ and the three digits are ⟦CARD|737⟧
the number is ⟦CARD|4242424242424242⟧, security code ⟦CARD|737⟧
⟦CARD|5555 5555 5555 4444⟧ 12/27 ⟦CARD|123⟧
amex ⟦CARD|3782 822463 10005⟧ cid ⟦CARD|1234⟧
AI: And the long number on the card?\nUser: ⟦CARD|4242 4242 4242 4242⟧\nAI: Expiry?\nUser: 12/27\nAI: And the three digits on the back?\nUser: ⟦CARD|seven three seven⟧
AI: Card number?\nUser: ⟦CARD|4242 4242 4242 4242⟧\nAI: And the CVV?\nUser: ⟦CARD|737⟧
AI: The card number, please.\nUser: ⟦CARD|4242 4242 4242 4242⟧\nAI: And the security code?\nUser: It's ⟦CARD|seven three seven⟧.
card ⟦CARD|4242 4242 4242 4242⟧, room 212, £120
card ⟦CARD|4242 4242 4242 4242⟧ was charged 120 dollars on 12/03/2026
she paid with ⟦CARD|4242 4242 4242 4242⟧, 500 mg twice daily
card ending 4242, cvv on the back
CVV 884
`;

// The same kinds again, also written before they were tried.
const moreLines = String.raw`
AI: What's the number on the prescription?\nUser: 4155550199
AI: And the phone number on the referral?\nUser: ⟦PHONE|4155550199⟧
the best number for the appointment is ⟦PHONE|415-555-0199⟧
the number you gave on the form was ⟦PHONE|07700 900456⟧
the mobile number registered with my policy is ⟦PHONE|07700 900456⟧
the phone number I used for the booking is ⟦PHONE|4155550199⟧
the number for my son's account: ⟦PHONE|07700 900456⟧
contact number on file for the claim is ⟦PHONE|020 7946 0123⟧
The landline on the invoice is ⟦PHONE|01632 960123⟧
phone number in the record is ⟦PHONE|4155550199⟧
the claim number on the phone record is 4155550199
the invoice number for the phone is 4155550199
the policy number for my mobile was 4155550199
her booking reference on the phone app is 4155550199
the MRN on the fax is 4155550199
the case number in the text is 4155550199
the account I called about is 4155550199
the tracking number they texted is 4155550199
Cell # ⟦PHONE|415-555-0199⟧, Acct # 4155550198
cell#: ⟦PHONE|4155550199⟧
Ph. # ⟦PHONE|(415) 555-0199⟧
Contact # (cell): ⟦PHONE|415-555-0199⟧
Mobile#⟦PHONE|07700900456⟧
spouse # ⟦PHONE|415-555-0199⟧
her # is ⟦PHONE|415-555-0199⟧
office # ⟦PHONE|415 555 0199 ext 4⟧
work#⟦PHONE|4155550199⟧
pharmacy # ⟦PHONE|415-555-0199⟧
Fax# ⟦PHONE|415-555-0199⟧ Phone# ⟦PHONE|415-555-0198⟧
ticket # 415-555-0199
lot # 4155550199
invoice #415 555 0199
PO # 4155550199
step #1, step #2
patient #4155550199 in the study
Bed # 12, room # 4155
item #415-555-0199
#1 call, #2 text
open 0700-1900 7 days
0730 - 1600 hrs
phone line hours 0800-2000
call us 0845 - 1715 Mon-Fri
Please phone 1000 - 1200 only
surgery times 0830 – 1100 and 1500 – 1730
OOH 1830 - 0800
the desk phone is staffed 0800 to 1730
ring ⟦PHONE|0800 1111⟧
mobile clinic 0900 - 1200, 1330 - 1600
Tel: ⟦PHONE|020 7946 0123⟧ (0830 - 1730)
{"offset":-3600,"epoch":-1009843200}
created -62135596800
[-2208988800, -2208902400]
diff: -4155550199 bytes
min -2147483648 max 2147483647
timestamp=-1577923200;
-1577923200.5
call -⟦PHONE|4155550199⟧
he won 21-15 18-21 21-12
score: 11-9 9-11 11-7 11-8
lost 3-6 6-4 10-12
they phoned: 6-7 7-6 7-6
half time 14 - 10, full time 24 - 21
Wisden pp 555-561, 2019
pp. 212-555, 1999
Smith 2018; 12(3): 212-219
pages 415-555 of 2019
BMJ 2012;344:e4100
see pp 415 555 2019
JAMA. 2016;315(8):801-810
my number's ⟦PHONE|07700 900 12, sorry, 123⟧
it's ⟦PHONE|oh two oh seven nine four seven, sorry, six, oh one two three⟧
my mobile is ⟦PHONE|oh seven seven double oh, nine hundred, one two, no, three two one⟧
number: ⟦PHONE|zero seven seven zero zero nine one one, oops, nine zero zero, one two three⟧
call ⟦PHONE|four one five, five five five, oh one double nine, sorry, oh one double eight⟧
it's ⟦PHONE|two one two five five five oh one four four. No, sorry, oh one four three⟧
AI: Phone?\nUser: ⟦PHONE|oh seven seven double oh nine, hang on, no, eight double oh one two three⟧
the dose is 5, sorry, 10 mg, and then 20, no, 25
we are at 12, sorry, 14 Harley Street, W1G 9PQ
it was in 2018, no, 2019, page 12, sorry, 13
her BP was 140, no, 150 over 90, sorry, 95
come at 3, no, 4, on the 12th, sorry, the 13th
my number is ⟦PHONE|oh seven seven double oh nine double oh one too three⟧
text me on ⟦PHONE|zero seven nine won one one two three four five six⟧
it's ⟦PHONE|two for zero five five five oh one nine nine⟧
⟦PHONE|oh seven seven double oh nine double oh to for six⟧ thanks, that's my mobile
my cell ⟦PHONE|nine won seven, five five five, oh won oh to⟧
three for two on all, buy two for one, two too many
I ate two at one, three at four, and four at six
go from two to four, then four to six, then six to eight
for one, two, three days
AI: Name on the card?\nUser: Ada Brown\nAI: Number?\nUser: ⟦CARD|4242 4242 4242 4242⟧\nAI: Expiration?\nUser: oh nine twenty eight\nAI: And the security code on the back?\nUser: ⟦CARD|one two three⟧
Visa ⟦CARD|4111 1111 1111 1111⟧ 09/28 CVV2: ⟦CARD|123⟧
{"card":"⟦CARD|4111111111111111⟧","cvc":"⟦CARD|123⟧"}
pan=⟦CARD|4111111111111111⟧&exp=0928&cvv=⟦CARD|123⟧
⟦CARD|4111 1111 1111 1111⟧, the last three digits on the back are ⟦CARD|9 8 7⟧
card ⟦CARD|4111 1111 1111 1111⟧, amount 120, order 123
card ⟦CARD|4111 1111 1111 1111⟧ at 3 30, room 415
⟦CARD|4242 4242 4242 4242⟧ on 03/04/2026, 250 mg, 120 over 80
the three digits on the chart are 415
⟦CARD|4111111111111111⟧ ⟦CARD|123⟧
card ⟦CARD|4111 1111 1111 1111⟧ ⟦CARD|123⟧ on the back
⟦CARD|4111111111111111⟧, ⟦CARD|123⟧ on the back
⟦CARD|4111111111111111⟧, back ⟦CARD|123⟧
⟦CARD|4111111111111111⟧ 12 27 ⟦CARD|123⟧
⟦CARD|4111111111111111⟧ 123 pounds
card ⟦CARD|4111 1111 1111 1111⟧, room 415, 20 on the back foot
⟦PHONE|07892, nine eight five oh nine one, sorry, 07892⟧, ⟦PHONE|985090⟧
⟦PHONE|646 555 0123, I mean 0142⟧
⟦PHONE|646 555 01 no wait 0142⟧
⟦PHONE|(646) 555-0123⟧, sorry, at 1030, room 212
⟦PHONE|07700 900123, sorry, 0142⟧ at the end
⟦PHONE|07700 900123⟧, sorry, 2 tablets
⟦PHONE|07700 900123⟧, no, room 212
mobile number # ⟦PHONE|07700900142⟧
phone number # ⟦PHONE|6465550142⟧
contact number # ⟦PHONE|07700 900142⟧
my number # ⟦PHONE|6465550142⟧
phone number #⟦PHONE|6465550142⟧, thanks
mobile number no. ⟦PHONE|07700900142⟧
mobile number: # ⟦PHONE|07700900142⟧
cell number # ⟦PHONE|646 555 0142⟧
order number # 6465550142
order number: # 07700900142
order number no. 07700900142
claim no. # 6465550142
`;

/** Text of JSON and URLs, German callers, and numbers next to other digits and signs. */
const escaped = String.raw`
Rückruf bitte unter ⟦PHONE|0151 23456789⟧ ab 16 Uhr
Sie erreichen mich mobil unter ⟦PHONE|0171 55501234⟧.
die Nummer lautet ⟦PHONE|null eins sechs null doppel fünf drei vier sieben acht neun⟧
meine E-Mail ist ⟦EMAIL|ada punkt brown at gmx punkt de⟧
die Adresse ist ⟦EMAIL|ada punkt brown ät web punkt de⟧
⟦PHONE|+91-9876543210⟧ on WhatsApp
dial ⟦PHONE|011 44 7700 900123⟧ from New York
mail me at ⟦EMAIL|ada.brown+test@example.co.uk⟧ thanks
email=⟦EMAIL|ada.brown%40example.com⟧&x=1
{"email":"⟦EMAIL|ada\u0040example.com⟧"}
⟦EMAIL|ada@ex​ample.com⟧
From=⟦PHONE|07700%20900%20123⟧&Body=hi
caller=%2B⟦PHONE|44%207700%20900123⟧
{"to":"\u002b⟦PHONE|447700900123⟧"}
From=%2B⟦PHONE|447700900123⟧&To=%2B⟦PHONE|442079460123⟧
_⟦PHONE|07700 900123⟧_
User: it's ⟦PHONE|077⟧ AI: ok User: ⟦PHONE|00 900⟧ AI: ok User: ⟦PHONE|123⟧
AI: the code please User: ⟦OTP|four eight two⟧ AI: yes User: ⟦OTP|nine one three⟧ AI: thanks
AI: Bitte nennen Sie mir Ihre Telefonnummer.\nUser: ⟦PHONE|0151 23 45 67 89⟧.
ruft an: ⟦PHONE|0151 23456789⟧, dann 0151 496
User: ⟦PHONE|null eins fünf eins zwei drei vier fünf sechs sieben acht neun⟧
User: Vorwahl ⟦PHONE|null drei null, neun null eins acht zwei null⟧
AI: Please read me the six digits.\nUser: ⟦OTP|48 29 13⟧
AI: Die sechs Ziffern bitte.\nUser: ⟦OTP|48 29 13⟧
the verification number is ⟦OTP|482913⟧
verification: ⟦OTP|482913⟧
User: verification is ⟦OTP|four eight two nine one three⟧
verification of 1200 rows took 35 s
verification failed after 5000 ms, attempt 3
the first three digits are 482 and the confirmation number is 913482
__⟦PHONE|07700900123⟧__
phone_⟦PHONE|07700900123⟧
Mobil⟦PHONE|0151 23456789⟧
User: ⟦PHONE|oh seven seven double oh nine double oh⟧.\nUser: ⟦PHONE|one two three⟧.
{\"phone\":\"⟦PHONE|+447700900123⟧\",\"slot\":\"10:00\"}
Permission to send an SMS has not been enabled for the region of the 'To' number: ⟦PHONE|+447700900⟧
Key (phone)=(⟦PHONE|+447700900123⟧) already exists.
100%25 done, 20%20 off, 10%10
C:\new\table 1234567890
\d{4}-\d{2}
2026-12-01T10%3A00%3A00%2B00%3A00
call_07700900123
id_4155550123
_12_ patients, path a_b_2026_12_01_c
__2026__
unter 1000 Euro, unter 18 Jahren
rufen Sie um 10 Uhr 30 an, erreichbar von 9 bis 17 Uhr
treffen wir uns at Punkt acht
web at home
Doppelzimmer 12, doppelt so viel
${"AI: your number?\\\\nUser: ⟦PHONE|07700⟧\\\\nAI: Yes\\\\nUser: ⟦PHONE|900123⟧"}
${"AI: the code?\\\\nUser: ⟦OTP|four eight two⟧\\\\nAI: ok\\\\nUser: ⟦OTP|nine one three⟧"}
`;

/** A text, and the parts that must be removed. */
export interface RedactionCase {
  readonly text: string;
  readonly secrets: readonly {
    readonly type: string;
    readonly start: number;
    readonly end: number;
  }[];
}

/** All cases, by origin. */
export const redactionCorpus: Readonly<Record<string, readonly RedactionCase[]>> = {
  written: readCases(written),
  spoken: readCases(spoken),
  passcodes: readCases(passcodes),
  identities: readCases(identities),
  negatives: readCases(negatives),
  "call centre": readCases(callCentre),
  records: readCases(records),
  machines: readCases(machines),
  messages: readCases(messages),
  dictated: readCases(dictated),
  forms: readCases(forms),
  "hard negatives": readCases(hardNegatives),
  "hard positives": readCases(hardPositives),
  heard: readCases(heard),
  transcripts: readCases(transcripts),
  calls: readCases(calls),
  notes: readCases(notes),
  mixed: readCases(mixed),
  lines: readCases(lines),
  "more lines": readCases(moreLines),
  escaped: readCases(escaped),
};

/** Parses cases, one per line. */
function readCases(lines: string): RedactionCase[] {
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
