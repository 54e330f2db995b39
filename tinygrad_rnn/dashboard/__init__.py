"""The dashboard: one page of six tabs, one file per tab. Needs the extra `app`; `page.py` is what runs."""
