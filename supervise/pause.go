package main

// runPause waits for SIGTERM and does nothing else: a container that runs it keeps the kubelet from removing the image.
func runPause(s signals) error {
	<-s.terminate
	return nil
}
