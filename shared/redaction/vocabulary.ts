/**
 * The words that label numbers. Only lists; the rules are in `labels.ts`.
 *
 * @module
 */

const setOf = (words: string) => new Set(words.trim().split(/\s+/));

/** Words for a phone, or for its number. */
export const phoneNouns = setOf(
  `phone phones telephone telephones tel mobile mobiles mob cell cellphone landline landlines fax ph
  whatsapp callback msisdn voicemail pager hotline helpline handy telefon telefono teléfono
  téléphone handynummer telefonnummer mobilnummer rufnummer portable móvil movil cellulare nummer
  numéro número numero wa switchboard rückruf rückrufnummer kontaktnummer festnetz festnetznummer
  mobil mobiltelefon mobilfunknummer faxnummer durchwahl vorwahl`,
);
/** What people do with a phone number; labels what follows directly (`call me on ...`). */
export const phoneVerbs = setOf(
  `call calls called calling ring rings ringing rang dial dials dialled dialed reach reached
  reachable contact contacted text texts texted texting sms message messaged try tried caller anrufen
  zurückrufen ruf rufe rufen erreichen erreicht erreichbar`,
);
/** `number`: the word before says whose. */
export const numberWords = setOf("number numbers num nummer");
/** Words before `number` that leave it a phone's, if no other noun precedes them. */
export const phoneOwners = setOf(
  `my your her his their our its the a an s best better new old contact callback back same another
  other which what whose this that these those home house work daytime day night evening personal
  private preferred direct good mum mums mom dad dads mother father husband wife son daughter
  partner brother sister parent carer friend neighbour boss kin doctor doctors gp nurse dentist
  pharmacy clinic surgery office reception receptionist emergency alternative alternate backup
  secondary primary main current correct right wrong full uk us british american french german
  irish spanish italian dutch indian polish foreign international local two different next first
  second last toll free freephone caller calling called reachable school shop hotel taxi vet
  landlord plumber hospice spouse fiance fiancee girlfriend boyfriend guardian caregiver nanny grandma
  grandpa grandmother grandfather aunt uncle cousin manager secretary care site branch two three four five six several many few is was at on
  to from with for via by and or but call dial ring text use take have give get got leave confirm
  need lost changed only spare temporary burner google skype line voice any long short meine deine
  ihre unsere seine die der eine neue alte`,
);
/** Nouns that say what the number directly after them is. */
export const otherNouns = setOf(
  `bp hr rr sats pulse temp temperature glucose pressure aba accession account acct age aged
  agreement amount application asset aud authorisation authorization badge balance barcode batch
  bates bill bin birth bmi booking born build bus bytes cad case catalog catalogue certificate
  chapter chart chassis checksum cheque chf claim coach commit complaint confirmation consignment
  contract coordinates cost count coupon cpt crn date dea deposit depth diagnosis dispute dob
  docket doi drg duration ean ein elapsed encounter engine epoch eur exp fee firmware flight gate
  gbp gdc gmc gtin guid hash hcpcs height iat iccid icd id identifier ids imei incident inr
  inventory invoice isbn issn item key lat latitude licence license loan locker log loinc lon
  longitude lot lottery member meter model mortgage mrn ms nbf nct ndc nmc npi odsn offset oid old
  order orders page pages pp parcel part passport payment permit pid pmid po policy postal postcode
  prescription price procedure protocol qty quantity quotation quote receipt ref reference
  references referral refs registration release request requisition revision room routing row rx
  score seat seconds section seed sequence serial sha shelf shipment size sku snapshot snomed sort
  span specimen submission subscriber sum swift tax ticket time timestamp tin token total trace
  tracking train transaction transfer ubrn udi unix upc usd uuid value vat version vin volume
  voucher warrant warranty weight wire year years zip`,
);
/** Words between a noun and its number: `order number is now ...`. */
export const links = setOf(
  `is was are were number numbers num no nr id code it its s the a reads of as says be now called ist lautet`,
);
/** Cards that are not payment cards. */
export const otherCards = setOf(
  `sim gift library loyalty membership id key business appointment green store`,
);
/** `code`: the word before says of what kind. */
export const codeWords = setOf("code codes");
/** Words for a passcode. */
export const passcodes = setOf(
  `passcode passcodes otp totp 2fa mfa password pin pincode passkey verification`,
);
/** Words before `code` that make it a passcode. */
export const passcodeOwners = setOf(
  `verification verify security pass login signin authentication auth activation validation sms otp
  pin confirmation access time factor recovery reset texted`,
);
/** Words before `code` that do not tell its kind. */
export const openOwners = setOf(
  `my your the a an this that our their his her digit new same wrong correct last latest right s
  number first second is was enter use with got get have send sent and or read says me you invalid
  expired following entered received which what whose typed tried der den mein dein ihr unser`,
);
/** Words before `code` that make it something else, even after `your`: `your zip code`. */
export const otherCodes = setOf(
  `cpt icd zip post postal error status country sort procedure diagnosis billing hcpcs snomed read
  drug bar qr product promo promotion promotional discount coupon voucher dress response exit
  region reason revenue modifier item tariff department cost color colour fault branch store course
  tax city route routing swift bic currency language airport airline station source ndc loinc opcs
  cm pcs condition service specialty referral booking appointment site room place key hex trip
  result return twilio http sql postcode morse gift building`,
);
/** Words before `code` that make it dialled: it begins a phone number. */
export const dialledCodes = setOf(
  `area country region dialling dialing dial calling international std`,
);
/** Function words. Any other word directly before digits is the noun that they belong to. */
export const functionWords = setOf(
  `is was are were be been at on to from with for via by and or but my your her his their our the a
  an it its s this that me him us them you i we he she they just only also either then still please
  thanks thank ok okay yes yeah no not so um uh er well sure actually now here there today tomorrow
  if when as like plus double triple try trying tried use used using got get gets has have had does
  did do can could would will should may re m ll ve d both all again instead after before until
  since because left gave gives give take took says said hi hello hey ask asked asking who which
  what ist lautet mein meine dein deine ihr ihre der das und unter mich mir bitte`,
);
/** Fields with text that somebody wrote or said. */
export const freeTexts = setOf(
  `note notes comment comments content reason description query answer reply said utterance memo`,
);
/** Words followed by a subject, not by a number to call. */
export const topicWords = setOf("about regarding concerning re");

/** Abbreviations: a full stop after them does not end a sentence. */
export const abbreviations = setOf(
  `tel ph mob no nr ref inv acct ext num dr mr mrs approx dept st reg med hosp pat`,
);
/** Words between a number and what it is. */
export const copulas = setOf("is was are were s as being ist lautet");
/** Prepositions that attach a noun to the one whose number it is: `the number on the order`. */
export const attaching = setOf("on for in under with from to at against");
/** Words between such a preposition and its noun. */
export const modifiers = setOf(
  "the a an my your our his her their this that its same new old original first last s",
);
/** Words between the noun and such a preposition: `the number listed on`. */
export const participles = setOf(
  `listed attached registered given stored saved linked written printed shown recorded noted provided
  held kept used associated connected`,
);
/** Begin a relative clause about a noun: `the number we have on`, `the order I called about`. */
export const pronouns = setOf("i we you he she they that which");
/** Words that begin another phrase. */
export const prepositions = setOf("in on at to from with by of until till since during");
/** What people do with a passcode. */
export const verifying = setOf("verify confirm log sign authenticate");
/** Words for a line that can be dialled: `direct line`. */
export const lineWords = setOf("line lines handset");
/** Words before `line` that make it a phone's. */
export const lineOwners = setOf("direct main office work home private");
/** Words before `cell` that do not mean a phone. */
export const bodily = setOf("white red blood t b stem per each single");
