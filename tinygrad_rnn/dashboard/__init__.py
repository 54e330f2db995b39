"""The dashboard: one page of six tabs, one file per tab. Needs the extras `app` and `plot`; `page.py` is what runs."""
