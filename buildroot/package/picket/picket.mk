################################################################################
#
# picket
#
################################################################################

PICKET_SITE = $(realpath $(BR2_EXTERNAL_PICKET_PATH)/..)
PICKET_SITE_METHOD = local
PICKET_VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' $(PICKET_SITE)/Cargo.toml | head -n 1)
PICKET_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = \
	--exclude=/target --exclude=/.ci --exclude=/buildroot --exclude=/fuzz \
	--exclude=/rootfs-overlay
PICKET_LICENSE = MIT, OFL-1.1 (letters in the picture)
PICKET_LICENSE_FILES = LICENSE src/transform/draw/font/OFL.txt

PICKET_FEATURES = \
	acme \
	steward \
	$(if $(BR2_PACKAGE_PICKET_LIBCAMERA),libcamera) \
	$(if $(BR2_PACKAGE_PICKET_V4L2),v4l2) \
	$(if $(BR2_PACKAGE_PICKET_GPIO),gpio)

PICKET_CARGO_BUILD_OPTS = \
	--bin picket \
	--features=$(subst $(space),$(comma),$(strip $(PICKET_FEATURES)))
PICKET_CARGO_INSTALL_OPTS = $(PICKET_CARGO_BUILD_OPTS)

# Buildroot sets cargo's profile by its own options. These are those of
# Cargo.toml's profile dist, which the figures in docs/performance.md were measured with.
PICKET_CARGO_ENV = \
	CARGO_PROFILE_RELEASE_OPT_LEVEL=3 \
	CARGO_PROFILE_RELEASE_LTO=thin \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS=4

# Crates that compile C take CC for the build machine's compiler, too.
PICKET_CARGO_ENV += \
	HOST_CC="$(HOSTCC)" HOST_CFLAGS="$(HOST_CFLAGS)" \
	HOST_CXX="$(HOSTCXX)" HOST_CXXFLAGS="$(HOST_CXXFLAGS)" \
	PKG_CONFIG_ALLOW_CROSS=1

# The same bytes wherever it is built: panics name files by their place in the
# source.
PICKET_CARGO_ENV += \
	CARGO_TARGET_$(call UPPERCASE,$(RUSTC_TARGET_NAME))_RUSTFLAGS="--remap-path-prefix=$(@D)=/picket"

ifneq ($(BR2_PACKAGE_PICKET_LIBCAMERA)$(BR2_PACKAGE_PICKET_V4L2),)
PICKET_LIBCLANG_PATH = $(call qstrip,$(BR2_PACKAGE_PICKET_LIBCLANG_PATH))
ifeq ($(PICKET_LIBCLANG_PATH),)
PICKET_LIBCLANG_PATH = $(HOST_DIR)/lib
PICKET_DEPENDENCIES += host-clang
endif
PICKET_CARGO_ENV += \
	LIBCLANG_PATH=$(PICKET_LIBCLANG_PATH) \
	BINDGEN_EXTRA_CLANG_ARGS="`$(PICKET_PKGDIR)/clang-args $(TARGET_CXX) $(RUSTC_TARGET_NAME)`"
endif

ifeq ($(BR2_PACKAGE_PICKET_LIBCAMERA),y)
PICKET_DEPENDENCIES += host-pkgconf rpi-libcamera
endif

# Buildroot collects crates when it downloads a package; this one is not
# downloaded. Cargo.lock has the hash of every crate. Not --quiet: what cargo is
# to read from VENDOR would be an empty file.
define PICKET_COLLECT_CRATES
	mkdir -p $(@D)/.cargo $(BR_CARGO_HOME)
	cd $(@D) && \
		flock $(BR_CARGO_HOME)/.br-lock \
		env CARGO_HOME=$(BR_CARGO_HOME) $(HOST_DIR)/bin/cargo vendor \
			--locked VENDOR > .cargo/config.toml
endef
PICKET_PRE_CONFIGURE_HOOKS += PICKET_COLLECT_CRATES

$(eval $(cargo-package))
