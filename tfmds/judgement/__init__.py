"""One video's judgement: evidence becomes findings, findings become a verdict."""
