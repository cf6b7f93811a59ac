package loadgen

import (
	"fmt"
	"strconv"
	"strings"
)

// Limit bounds the notifier's process. Zero fields bound nothing.
type Limit struct {
	CPUs   int
	Memory int64 // bytes
}

// ParseLimit reads a limit such as "2cpu,4GiB"; either part may be missing.
func ParseLimit(s string) (Limit, error) {
	var l Limit
	for part := range strings.SplitSeq(s, ",") {
		part = strings.ToLower(strings.TrimSpace(part))
		bad := fmt.Errorf("%w: limit %q: want CPUs and memory, such as 2cpu,4GiB or 512MiB", ErrUsage, s)
		switch {
		case part == "":
		case strings.HasSuffix(part, "cpu"):
			n, err := strconv.Atoi(strings.TrimSuffix(part, "cpu"))
			if err != nil || n < 1 || l.CPUs != 0 {
				return Limit{}, bad
			}
			l.CPUs = n
		default:
			shift, digits := 0, ""
			for unit, by := range map[string]int{"gib": 30, "mib": 20} {
				if d, ok := strings.CutSuffix(part, unit); ok {
					digits, shift = d, by
				}
			}
			n, err := strconv.ParseInt(digits, 10, 32)
			if err != nil || n < 1 || l.Memory != 0 {
				return Limit{}, bad
			}
			l.Memory = n << shift
		}
	}
	return l, nil
}

func (l Limit) String() string {
	var parts []string
	if l.CPUs > 0 {
		parts = append(parts, fmt.Sprintf("%dcpu", l.CPUs))
	}
	if l.Memory > 0 {
		parts = append(parts, fmt.Sprintf("%dMiB", l.Memory>>20))
	}
	return strings.Join(parts, ",")
}
