"""The dashboard: an RNN learns, predicts, forecasts, is drawn, checked, and writes.

    make app                    in a checkout
    python examples/app.py      the same, with a Python that has Streamlit; --help shows its flags
    tinygrad-rnn app            where the package is installed with the extra app

Each tab is a file in tinygrad_rnn/dashboard/.
"""

import sys

streamlit = sys.modules.get("streamlit")
if streamlit is not None and streamlit.runtime.exists():
    from tinygrad_rnn.dashboard.page import main

    main()
elif __name__ == "__main__":  # run by Python itself, which has no page to write on: let the command start the server
    from tinygrad_rnn.cli import main

    sys.exit(main(["app", *sys.argv[1:]]))
