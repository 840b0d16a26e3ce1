"""The paper's tables: what to run for each, and what came out beside what the paper prints."""
