//! Decides which addresses an HTTP client may connect to: [`AddressGuard`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config_error::Problem;

/// Restricts an HTTP client to addresses on the public internet and ranges that you allow.
///
/// Use it for URLs that you did not choose, such as issuers that customers enter. Otherwise a customer could name a
/// server in your network, or the metadata service of your cloud at `169.254.169.254`, and make this program send
/// requests to it.
///
/// It refuses the ranges that are not globally reachable in the IANA registries of [IPv4](https://www.iana.org/assignments/iana-ipv4-special-registry) and
/// [IPv6](https://www.iana.org/assignments/iana-ipv6-special-registry) special-purpose addresses (RFC 6890) and multicast:
/// private, loopback, link-local, shared (`100.64.0.0/10`), unique local, documentation, benchmarking, unspecified, reserved,
/// 6to4 and Teredo. An IPv6 address that is mapped from an IPv4 address (`::ffff:0:0/96`) or translated to one (NAT64,
/// `64:ff9b::/96`) is treated as that IPv4 address.
///
/// A check before the request is not enough, because the name can resolve to another address when the connection is made (DNS
/// rebinding). `ReqwestClient::guarded` therefore checks the addresses that it connects to. If you implement
/// [`HttpClient`](crate::HttpClient) with another HTTP client, call [`allows`](Self::allows) in its name resolver, and also
/// for URLs whose host is an address.
///
/// Not checked: ports, and addresses that a network translates with its own NAT64 prefix.
///
/// ```
/// use tower_bearer::AddressGuard;
///
/// // The servers in one of our networks are allowed too.
/// let guard = AddressGuard::new().allow("10.20.0.0/16").allow("fd00:20::/32");
///
/// assert!(guard.allows("93.184.215.14".parse().unwrap()));
/// assert!(guard.allows("10.20.3.4".parse().unwrap()));
/// assert!(!guard.allows("10.30.3.4".parse().unwrap()));
/// assert!(!guard.allows("169.254.169.254".parse().unwrap()));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct AddressGuard {
    allowed: Vec<AddressRange>,
    problems: Vec<Problem>,
}

impl AddressGuard {
    /// Creates a guard that allows only addresses of the public internet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows a range, such as `10.20.0.0/16` or `fd00:20::/32`, or one address. Default: none.
    ///
    /// A range that is not valid allows nothing, and `ReqwestClient::guarded` returns an error for it. The bits after
    /// the prefix must be zero.
    pub fn allow(mut self, range: &str) -> Self {
        match AddressRange::parse(range) {
            Some(range) => self.allowed.push(range),
            None => {
                let expected =
                    "expected an address, or a range such as 10.20.0.0/16 with zero bits after the prefix";
                self.problems.push(Problem::new("address range", range, expected));
            }
        }
        self
    }

    /// Returns whether an address may be connected to.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = without_translation(address);
        is_public(address) || self.allowed.iter().any(|range| range.contains(address))
    }

    /// Returns the ranges that are not valid.
    #[cfg(any(feature = "reqwest", test))]
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// The addresses with the same first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AddressRange {
    V4(Ipv4Addr, u32),
    V6(Ipv6Addr, u32),
}

impl AddressRange {
    fn parse(text: &str) -> Option<Self> {
        let (network, bits) = match text.split_once('/') {
            // `parse` would accept a sign.
            Some((network, bits)) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                (network, Some(bits.parse::<u32>().ok()?))
            }
            Some(_) => return None,
            None => (text, None),
        };
        let range = match network.parse().ok()? {
            IpAddr::V4(network) => Self::V4(network, bits.unwrap_or(32)),
            IpAddr::V6(network) => Self::V6(network, bits.unwrap_or(128)),
        };
        range.is_valid().then_some(range)
    }

    /// Returns whether the prefix is not too long and the bits after it are zero.
    fn is_valid(self) -> bool {
        match self {
            Self::V4(network, bits) => bits <= 32 && network.to_bits() & !mask_v4(bits) == 0,
            Self::V6(network, bits) => bits <= 128 && network.to_bits() & !mask_v6(bits) == 0,
        }
    }

    fn contains(self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::V4(network, bits), IpAddr::V4(address)) => {
                address.to_bits() & mask_v4(bits) == network.to_bits()
            }
            (Self::V6(network, bits), IpAddr::V6(address)) => {
                address.to_bits() & mask_v6(bits) == network.to_bits()
            }
            (Self::V4(..), IpAddr::V6(_)) | (Self::V6(..), IpAddr::V4(_)) => false,
        }
    }
}

/// Returns the mask of a prefix. A prefix of zero bits has the mask zero, for which a shift alone would overflow.
fn mask_v4(bits: u32) -> u32 {
    u32::MAX.checked_shl(32 - bits).unwrap_or(0)
}

fn mask_v6(bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

/// Returns the IPv4 address that packets to a mapped or translated IPv6 address go to (RFC 4291 section 2.5.5.2, RFC
/// 6052 section 2.1).
fn without_translation(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into()
            }
            _ => address.to_canonical(),
        },
        IpAddr::V4(_) => address,
    }
}

/// Returns whether an address belongs to a host on the public internet.
fn is_public(address: IpAddr) -> bool {
    // Of IPv6, only 2000::/3 is in use as global unicast; parts of it are special too.
    let is_unicast = address.is_ipv4() || GLOBAL_UNICAST_V6.contains(address);
    is_unicast && !SPECIAL.iter().any(|range| range.contains(address))
}

const fn v4(a: u8, b: u8, c: u8, bits: u32) -> AddressRange {
    AddressRange::V4(Ipv4Addr::new(a, b, c, 0), bits)
}

const fn v6(a: u16, b: u16, bits: u32) -> AddressRange {
    AddressRange::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), bits)
}

const GLOBAL_UNICAST_V6: AddressRange = v6(0x2000, 0, 3);

/// The IANA registries of special-purpose addresses, and multicast.
const SPECIAL: [AddressRange; 19] = [
    v4(0, 0, 0, 8),        // this network, unspecified
    v4(10, 0, 0, 8),       // private
    v4(100, 64, 0, 10),    // shared, for carrier-grade NAT
    v4(127, 0, 0, 8),      // loopback
    v4(169, 254, 0, 16),   // link-local, with the metadata services of clouds
    v4(172, 16, 0, 12),    // private
    v4(192, 0, 0, 24),     // protocol assignments
    v4(192, 0, 2, 24),     // documentation
    v4(192, 88, 99, 24),   // 6to4 relays
    v4(192, 168, 0, 16),   // private
    v4(198, 18, 0, 15),    // benchmarking
    v4(198, 51, 100, 24),  // documentation
    v4(203, 0, 113, 24),   // documentation
    v4(224, 0, 0, 4),      // multicast
    v4(240, 0, 0, 4),      // reserved, broadcast
    v6(0x2001, 0, 23),     // protocol assignments, with Teredo
    v6(0x2001, 0xdb8, 32), // documentation
    v6(0x2002, 0, 16),     // 6to4, which contains IPv4 addresses
    v6(0x3fff, 0, 20),     // documentation
];

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(guard: &AddressGuard, address: &str) -> bool {
        guard.allows(address.parse().unwrap())
    }

    #[test]
    fn addresses_of_the_public_internet_are_allowed() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2001:200::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(allows(&AddressGuard::new(), address), "{address}");
        }
    }

    #[test]
    fn a67_addresses_of_every_special_range_are_refused() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:0808:0808::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!allows(&AddressGuard::new(), address), "{address}");
        }
    }

    #[test]
    fn a_range_that_was_allowed_is_allowed_and_no_other() {
        let guard = AddressGuard::new().allow("10.20.0.0/16").allow("127.0.0.1").allow("fd00:20::/32");

        for address in ["10.20.0.0", "10.20.255.255", "127.0.0.1", "::ffff:10.20.1.1", "fd00:20:1::1"] {
            assert!(allows(&guard, address), "{address}");
        }
        for address in ["10.19.255.255", "10.21.0.0", "127.0.0.2", "::1", "fd00:21::1", "fd00::20"] {
            assert!(!allows(&guard, address), "{address}");
        }
        assert!(guard.problems().is_empty());
    }

    #[test]
    fn a_prefix_of_zero_bits_allows_the_whole_family() {
        let guard = AddressGuard::new().allow("0.0.0.0/0");

        assert!(allows(&guard, "10.0.0.1"));
        assert!(!allows(&guard, "fd00::1"));
        assert!(allows(&AddressGuard::new().allow("::/0"), "fd00::1"));
    }

    #[test]
    fn a_range_that_is_not_valid_allows_nothing_and_is_a_problem() {
        for range in
            ["", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.1/8", "10/8", "fd00::/129", "localhost"]
        {
            let guard = AddressGuard::new().allow(range);

            assert_eq!(guard.problems().len(), 1, "{range}");
            assert!(!allows(&guard, "10.0.0.1"), "{range}");
        }
        let guard = AddressGuard::new().allow("10.0.0.0/33");
        assert_eq!(
            guard.problems()[0].to_string(),
            "address range \"10.0.0.0/33\": expected an address, or a range such as 10.20.0.0/16 with zero bits after the \
             prefix"
        );
    }
}
