import sys

from active_rlhf.cli import main

sys.exit(main())
