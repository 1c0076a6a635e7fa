// Command strangers leads clients that others wrote through a whole life against the Vultr API that the environment
// names (HTTPS_PROXY, SSL_CERT_FILE, VULTR_API_KEY): `strangers govultr` or `strangers lego`.
// It deletes all that it makes, and exits with 1 and the step at which an answer was not what the client expects.
package main

import (
	"fmt"
	"os"
)

func main() {
	lives := map[string]func() error{"govultr": govultrLife, "lego": legoLife}
	if len(os.Args) != 2 || lives[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: strangers govultr|lego")
		os.Exit(2)
	}
	if err := lives[os.Args[1]](); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
