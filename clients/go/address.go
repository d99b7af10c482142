package executionstore

import (
	"regexp"
	"strconv"
	"strings"
)

// address is where a server is, as gRPC takes it.
type address struct {
	// label is what the user wrote, for messages.
	label string
	// target is that of a gRPC channel.
	target string
	// local says whether it is this machine, which no HTTP proxy leads to.
	local bool
}

var (
	hostPort   = regexp.MustCompile(`^(\[[0-9a-fA-F:.%]+\]|[^:/\s\[\]@]+):([0-9]{1,5})$`)
	grpcTarget = regexp.MustCompile(`^(?:dns|ipv4|ipv6|passthrough):\S+$`)
	aURL       = regexp.MustCompile(`(?i)^[a-z]+://`)
	loopback   = regexp.MustCompile(`(?i)^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])$`)
)

// parseAddress takes an address apart.
func parseAddress(text string) (address, *Error) {
	if path, isUnix := strings.CutPrefix(text, "unix:"); isUnix {
		if strings.HasPrefix(path, "///") {
			path = path[2:]
		}
		switch {
		case strings.HasPrefix(path, "//"):
			return address{}, addressError("has two slashes after unix:, which would make a host of the path")
		case path == "":
			return address{}, addressError("has no path after unix:")
		}
		return address{text, "unix:" + path, true}, nil
	}
	if grpcTarget.MatchString(text) {
		return address{text, text, false}, nil
	}
	if aURL.MatchString(text) {
		return address{}, addressError("is a URL; leave the part up to :// out (TLS is the option WithTLS)")
	}
	parts := hostPort.FindStringSubmatch(text)
	if parts == nil {
		return address{}, addressError("has no host or no port")
	}
	if port, err := strconv.Atoi(parts[2]); err != nil || port < 1 || port > 65_535 {
		return address{}, addressError("has a port outside 1 to 65535")
	}
	// The scheme is said, so that no host name is taken for one.
	return address{text, "dns:" + text, loopback.MatchString(parts[1])}, nil
}

func addressError(problem string) *Error {
	return invalidField(ReasonClientOptionInvalid, "address",
		problem+"; expected HOST:PORT such as "+DefaultAddress+", or unix:/PATH")
}
