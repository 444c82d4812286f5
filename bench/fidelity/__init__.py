"""The proof of the proof: no false alarm in millions of values, no false pass in thousands of mutations."""
