"""Google's Gemini format: ``:generateContent`` and ``:streamGenerateContent`` of the Generative Language API."""
