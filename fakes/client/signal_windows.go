package client

import "os"

// interrupt kills: Windows has no signal that a console program could be sent
// alone.
func interrupt(p *os.Process) error { return p.Kill() }
