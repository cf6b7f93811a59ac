package loadgen

import "fmt"

// Platform of a device, as the registration service names it.
type Platform string

// The platforms.
const (
	IOS     Platform = "ios"
	Windows Platform = "windows"
)

// Device is a simulated phone or PC.
type Device struct {
	ID       string
	Mailbox  int // index
	Platform Platform
	Address  string // device token or channel URI, once it has one
}

// Population is who is registered.
type Population struct {
	Devices   []Device // those of a mailbox follow one another
	Mailboxes []string // addresses, once they are known
	first     []int    // of a mailbox: its first device; one more at the end
}

// NewPopulation draws a population: each mailbox has 1 to perMailbox devices,
// and some of them run Windows. The same arguments give the same population.
func NewPopulation(devices, perMailbox int, seed uint64) (*Population, error) {
	if devices < 1 || devices > DevicesMax {
		return nil, fmt.Errorf("%w: devices: %d; 1 to %d are possible", ErrUsage, devices, DevicesMax)
	}
	if perMailbox < 1 || perMailbox > PerMailboxMax {
		return nil, fmt.Errorf("%w: devices of a mailbox: %d; 1 to %d are possible", ErrUsage, perMailbox, PerMailboxMax)
	}
	random := stream(seed, "population")
	p := &Population{Devices: make([]Device, 0, devices)}
	for len(p.Devices) < devices {
		mailbox := len(p.first)
		p.first = append(p.first, len(p.Devices))
		for range min(1+random.IntN(perMailbox), devices-len(p.Devices)) {
			d := Device{ID: fmt.Sprintf("load-%06d", len(p.Devices)+1), Mailbox: mailbox, Platform: IOS}
			if random.Float64() < windowsShare {
				d.Platform = Windows
			}
			p.Devices = append(p.Devices, d)
		}
	}
	p.first = append(p.first, len(p.Devices))
	return p, nil
}

// phonesOnly makes iPhones of all devices.
func (p *Population) phonesOnly() {
	for i := range p.Devices {
		p.Devices[i].Platform = IOS
	}
}

// Size is the number of mailboxes.
func (p *Population) Size() int { return len(p.first) - 1 }

// Of are the indices of a mailbox's devices: from, up to but without to.
func (p *Population) Of(mailbox int) (from, to int) { return p.first[mailbox], p.first[mailbox+1] }
