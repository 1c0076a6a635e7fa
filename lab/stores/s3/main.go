// The region's S3 servers: `rclone serve s3` of rclone alone, over a folder.
//
//	s3 serve s3 --addr :443 --cert cert.pem --key key.pem --auth-key ACCESS,SECRET /data
//
// With ACCOUNTS, a file as the emulator of the Vultr API keeps its state in, the keys that hold are those of its
// accounts of the object storage, as the file stands.
package main

import (
	"encoding/json"
	"log"
	"os"
	"time"

	"github.com/rclone/gofakes3/signature"
	_ "github.com/rclone/rclone/backend/local"
	"github.com/rclone/rclone/cmd"
	_ "github.com/rclone/rclone/cmd/serve"
	_ "github.com/rclone/rclone/cmd/serve/s3"
)

const look = 200 * time.Millisecond

type state struct {
	Accounts map[string]struct {
		Access string `json:"s3_access_key"`
		Secret string `json:"s3_secret_key"`
	} `json:"object_storages"`
}

func keys(file string) (map[string]string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var found state
	if err := json.Unmarshal(content, &found); err != nil {
		return nil, err
	}
	pairs := map[string]string{}
	for _, account := range found.Accounts {
		pairs[account.Access] = account.Secret
	}
	return pairs, nil
}

func follow(file string) {
	var last time.Time
	for ; ; time.Sleep(look) {
		info, err := os.Stat(file)
		if err != nil || info.ModTime().Equal(last) {
			continue
		}
		pairs, err := keys(file)
		if err != nil {
			log.Printf("%s: %v", file, err)
			continue
		}
		signature.ReloadKeys(pairs)
		last = info.ModTime()
	}
}

func main() {
	if file := os.Getenv("ACCOUNTS"); file != "" {
		go follow(file)
	}
	cmd.Main()
}
