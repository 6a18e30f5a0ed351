package main

import "testing"

func TestProgramsAreKnownByWhatRuns(t *testing.T) {
	for _, c := range []struct {
		command, exe string
		role         role
	}{
		{"bash run.sh", "/usr/bin/bash", shell},
		{"-bash", "/usr/bin/bash", shell},
		{"-zsh", "-", shell},
		{"/bin/sh -c x", "/bin/busybox", shell},
		{"busybox sh x", "/bin/busybox", shell},
		{"busybox httpd", "/bin/busybox", worker},
		{"sleep 9", "/bin/busybox.static", worker},
		{"/bin/sh run.sh", "/usr/bin/dash (deleted)", shell},
		{"bash", "/opt/bash-5.2", shell},
		{"ksh93 x", "/bin/ksh93", shell},
		{"python train.sh", "/usr/bin/python3.13", worker},
		{"ray::train", "/usr/bin/python3", worker},
		{"timeout 9 x", "/usr/bin/timeout", relay},
		{"timeout 9 x", "/usr/bin/coreutils", relay},
		{"/usr/bin/su me", "-", relay},
		{"fishing", "-", worker},
		{"/usr/bin/python3 /usr/local/bin/torchrun --nproc_per_node 2 t.py", "/usr/bin/python3.13", launcher},
		{"python3 -u -X dev -m torch.distributed.run t.py", "/usr/bin/python3.13", launcher},
		{"python3 -um torch.distributed.launch t.py", "/usr/bin/python3.13", launcher},
		{"python3 -c torchrun", "/usr/bin/python3.13", worker},
		{"python3 train.py torchrun", "/usr/bin/python3.13", worker},
		{"python3 -m train torch.distributed.run", "/usr/bin/python3.13", worker},
		{"/opt/venv/bin/python /opt/venv/bin/accelerate launch t.py", "/usr/bin/python3.13", launcher},
		{"/usr/bin/python3 -u -m deepspeed.launcher.launch t.py", "/usr/bin/python3.13", launcher},
		{"mpirun -np 2 x", "/usr/bin/prterun", launcher},
		{"mpirun -np 2 x", "/opt/ompi/bin/orterun", launcher},
		{"hydra_pmi_proxy --x", "-", launcher},
		{"python3 /usr/bin/dlrover-run t.py", "/usr/bin/python3.13", patient},
		{"python3 /usr/bin/ft_launcher t.py", "/usr/bin/python3.13", patient},
		{"/x/raylet --y", "/x/raylet", service},
		{"/x/gcs_server --y", "/x/gcs_server", service},
		{"/usr/bin/python3 /usr/bin/ray start --head --block", "/usr/bin/python3.13", service},
		{"ray::IDLE", "/usr/bin/python3.13", worker},
		{"uv run t.py", "/usr/bin/uv", relay},
		{"tini -g -- t", "/sbin/tini-static", relay},
		{"python3 /opt/conda/bin/conda run x", "/usr/bin/python3.13", relay},
		{"ssh host train", "/usr/bin/ssh", transport},
		{"kubectl exec x", "/usr/local/bin/kubectl", transport},
		{"", "-", worker},
	} {
		t.Run(c.command+" "+c.exe, func(t *testing.T) {
			// given
			table := fakeTable(t, []fake{{pid: 2, command: c.command, exe: c.exe}})
			// when
			_, program := table.programOf(table.processes[2])
			// then
			if program.role != c.role {
				t.Errorf("it is a %s", program.role)
			}
		})
	}
}
