.PHONY: help run test bench chaos

help: ## What can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

run: ## Install what is missing, build, and serve with a private PostgreSQL, a demo user and stand-in providers
	deploy/dev/install.sh run
	cargo run --locked --profile fast --bin tollgate -- serve --demo

test: ## Everything that CI checks
	deploy/dev/install.sh test
	deploy/dev/test.sh

bench: ## What a paid completion costs beside a bare nginx; writes bench/results/
	deploy/dev/bench.sh

chaos: ## The promises in their long sizes, within CHAOS_MINUTES (60); writes bench/results/chaos.json
	deploy/dev/install.sh test
	ulimit -n "$$(ulimit -Hn)"; deploy/dev/chaos.py
