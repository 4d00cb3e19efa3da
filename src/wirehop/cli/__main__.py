from wirehop.cli import main

raise SystemExit(main())
