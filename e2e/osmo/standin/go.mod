module gracekeeper.dev/osmo-standin

go 1.26
