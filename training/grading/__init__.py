"""Grade answers: rules that compare them with references, judges' verdicts, and how good a judge is."""
