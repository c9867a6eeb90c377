/*
 * Two clinics to try things out, with fictional numbers (Ofcom's and NANPA's ranges for drama).
 * Generated from supabase/clinics by `deno run -A supabase/local/clinics.ts`; a test compares the two.
 * Safe to run again: existing clinics stay unchanged.
 */

select public.apply_clinic($clinic${
  "slug": "hudson-aesthetics",
  "name": "Hudson Aesthetics",
  "timezone": "America/New_York",
  "defaultCountry": "US",
  "numbers": [
    "+12125550123"
  ],
  "sharedLines": [],
  "assistant": {
    "language": "en",
    "voice": "cartesia",
    "model": "openai",
    "greeting": null,
    "recordsCalls": false,
    "keepsTranscript": true
  },
  "transferNumber": "+12125550199",
  "deskHours": [
    {
      "dow": 1,
      "startMin": 510,
      "endMin": 1080
    },
    {
      "dow": 2,
      "startMin": 510,
      "endMin": 1080
    },
    {
      "dow": 3,
      "startMin": 510,
      "endMin": 1080
    },
    {
      "dow": 4,
      "startMin": 510,
      "endMin": 1080
    },
    {
      "dow": 5,
      "startMin": 510,
      "endMin": 1080
    }
  ],
  "holdMinutes": 10,
  "deskHoldMinutes": 60,
  "smsCountries": [
    "US",
    "GB"
  ],
  "smsHourlyLimit": 200,
  "messageHourlyLimit": 30,
  "followUpTexts": false,
  "textsAtHold": false,
  "calendarPatientNames": false,
  "address": null,
  "confirmationTexts": true,
  "changeTexts": false,
  "cancellationTexts": false,
  "reminderMin": null,
  "reminderNoticeHours": 24,
  "textAnswers": false,
  "textLanguage": "en",
  "textWords": {},
  "retentionDays": 90,
  "auditRetentionDays": 2555,
  "closingDays": [
    {
      "first": "2026-11-26",
      "last": "2026-11-26"
    },
    {
      "first": "2026-12-25",
      "last": "2026-12-25"
    },
    {
      "first": "2027-01-01",
      "last": "2027-01-01"
    }
  ],
  "services": [
    {
      "slug": "consultation",
      "name": "Consultation",
      "durationMin": 30,
      "stepMin": 30,
      "bufferBeforeMin": 0,
      "bufferAfterMin": 0,
      "noticeMin": 60,
      "horizonDays": 90,
      "capacity": 1
    },
    {
      "slug": "rhinoplasty",
      "name": "Rhinoplasty",
      "durationMin": 120,
      "stepMin": 30,
      "bufferBeforeMin": 0,
      "bufferAfterMin": 30,
      "noticeMin": 60,
      "horizonDays": 90,
      "capacity": 1
    },
    {
      "slug": "facelift",
      "name": "Facelift",
      "durationMin": 180,
      "stepMin": 30,
      "bufferBeforeMin": 0,
      "bufferAfterMin": 30,
      "noticeMin": 60,
      "horizonDays": 90,
      "capacity": 1
    }
  ],
  "providers": [
    {
      "slug": "maria-santos",
      "name": "Dr Maria Santos",
      "services": [
        "consultation",
        "rhinoplasty",
        "facelift"
      ],
      "hours": [
        {
          "dow": 1,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 2,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 3,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 4,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 5,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        }
      ],
      "overrides": [],
      "timeOff": []
    },
    {
      "slug": "james-lee",
      "name": "Dr James Lee",
      "services": [
        "consultation",
        "rhinoplasty",
        "facelift"
      ],
      "hours": [
        {
          "dow": 1,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 2,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 3,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 4,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 5,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        }
      ],
      "overrides": [],
      "timeOff": []
    },
    {
      "slug": "nina-rossi",
      "name": "Dr Nina Rossi",
      "services": [
        "consultation",
        "rhinoplasty",
        "facelift"
      ],
      "hours": [
        {
          "dow": 1,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 2,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 3,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 4,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 5,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        }
      ],
      "overrides": [],
      "timeOff": []
    }
  ],
  "facts": [
    {
      "question": "Which insurance do you accept?",
      "alsoAsked": [
        "Do you take my insurance?",
        "Am I covered?"
      ],
      "answer": "We take Aetna and Cigna. Cosmetic treatments are not covered by insurance.",
      "tags": [
        "insurer",
        "Aetna",
        "Cigna",
        "coverage"
      ],
      "inPrompt": false
    },
    {
      "question": "Where are you?",
      "alsoAsked": [
        "What is your address?",
        "Where is the clinic located?",
        "How do I find you?"
      ],
      "answer": "We are at 12 Hudson Street, on the third floor.",
      "tags": [
        "location",
        "street",
        "directions"
      ],
      "inPrompt": false
    }
  ]
}$clinic$);

select public.apply_clinic($clinic${
  "slug": "sunrise-dental",
  "name": "Sunrise Dental",
  "timezone": "Europe/London",
  "defaultCountry": "GB",
  "numbers": [
    "+442079460123"
  ],
  "vapiPhoneNumbers": [
    "6f2d6c5e-7a0d-4a83-9c5e-2f5f7d9c0a01"
  ],
  "vapiAssistants": [
    "5f8a4a3e-0c6d-4f3b-a6b8-0b5cf5f0b1d2"
  ],
  "sharedLines": [],
  "assistant": {
    "language": "en",
    "voice": "cartesia",
    "model": "openai",
    "greeting": null,
    "recordsCalls": false,
    "keepsTranscript": true
  },
  "transferNumber": "+442079460199",
  "deskHours": [
    {
      "dow": 1,
      "startMin": 510,
      "endMin": 1080
    },
    {
      "dow": 2,
      "startMin": 510,
      "endMin": 1080
    },
    {
      "dow": 3,
      "startMin": 510,
      "endMin": 1080
    },
    {
      "dow": 4,
      "startMin": 510,
      "endMin": 1080
    },
    {
      "dow": 5,
      "startMin": 510,
      "endMin": 1080
    }
  ],
  "holdMinutes": 10,
  "deskHoldMinutes": 60,
  "smsCountries": [
    "GB",
    "GG",
    "IM",
    "JE",
    "US"
  ],
  "smsHourlyLimit": 200,
  "messageHourlyLimit": 30,
  "followUpTexts": false,
  "textsAtHold": false,
  "calendarPatientNames": false,
  "address": "12 High Street, London",
  "confirmationTexts": true,
  "changeTexts": false,
  "cancellationTexts": false,
  "reminderMin": null,
  "reminderNoticeHours": 24,
  "textAnswers": false,
  "textLanguage": "en",
  "textWords": {},
  "retentionDays": 90,
  "auditRetentionDays": 2555,
  "closingDays": [
    {
      "first": "2026-12-25",
      "last": "2026-12-25"
    },
    {
      "first": "2026-12-28",
      "last": "2026-12-28"
    },
    {
      "first": "2027-01-01",
      "last": "2027-01-01"
    }
  ],
  "services": [
    {
      "slug": "consultation",
      "name": "Consultation",
      "durationMin": 30,
      "stepMin": 30,
      "bufferBeforeMin": 0,
      "bufferAfterMin": 0,
      "noticeMin": 60,
      "horizonDays": 90,
      "capacity": 1
    },
    {
      "slug": "root-canal",
      "name": "Root canal treatment",
      "durationMin": 120,
      "stepMin": 30,
      "bufferBeforeMin": 0,
      "bufferAfterMin": 30,
      "noticeMin": 60,
      "horizonDays": 90,
      "capacity": 1
    },
    {
      "slug": "implant",
      "name": "Dental implant",
      "durationMin": 180,
      "stepMin": 30,
      "bufferBeforeMin": 0,
      "bufferAfterMin": 30,
      "noticeMin": 60,
      "horizonDays": 90,
      "capacity": 1
    }
  ],
  "providers": [
    {
      "slug": "amara-patel",
      "name": "Dr Amara Patel",
      "services": [
        "consultation",
        "root-canal",
        "implant"
      ],
      "hours": [
        {
          "dow": 1,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 2,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 3,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 4,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 5,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        }
      ],
      "overrides": [],
      "timeOff": []
    },
    {
      "slug": "ben-okafor",
      "name": "Dr Ben Okafor",
      "services": [
        "consultation",
        "root-canal",
        "implant"
      ],
      "hours": [
        {
          "dow": 1,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 2,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 3,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 4,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 5,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        }
      ],
      "overrides": [],
      "timeOff": []
    },
    {
      "slug": "chloe-hughes",
      "name": "Dr Chloe Hughes",
      "services": [
        "consultation",
        "root-canal",
        "implant"
      ],
      "hours": [
        {
          "dow": 1,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 2,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 3,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 4,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        },
        {
          "dow": 5,
          "startMin": 540,
          "endMin": 1050,
          "from": null,
          "until": null
        }
      ],
      "overrides": [],
      "timeOff": []
    }
  ],
  "facts": [
    {
      "question": "Where can I park?",
      "alsoAsked": [
        "Is there a car park?",
        "Do you have parking?"
      ],
      "answer": "There are ten free spaces behind the house. Please ring at the gate.",
      "tags": [
        "car"
      ],
      "inPrompt": false
    },
    {
      "question": "What does a consultation cost?",
      "alsoAsked": [
        "How much is a consultation?",
        "What is the price of a first appointment?"
      ],
      "answer": "A consultation is sixty pounds, and it is taken off the price of a treatment.",
      "tags": [
        "fee",
        "charge"
      ],
      "inPrompt": false
    },
    {
      "question": "How should I prepare for surgery?",
      "alsoAsked": [
        "Can I eat before the operation?"
      ],
      "answer": "Please eat and drink nothing for six hours before, and have somebody take you home.",
      "tags": [
        "preparation",
        "fasting",
        "drink"
      ],
      "inPrompt": false
    }
  ]
}$clinic$);
