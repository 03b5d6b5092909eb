//! Puts right what an answer says of paths, where the client's path went on without its front.
//!
//! A backend that is asked `/vmui` knows nothing of the `/t/acme` that the client wrote before it:
//! where it sends the client to `/vmui/`, or sets a cookie for `/`, it means what is below.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// The headers that name a place of the backend's.
const PLACES: [HeaderName; 2] = [header::LOCATION, header::CONTENT_LOCATION];

/// What a client's path began with, and what an endpoint's began with instead.
#[derive(Debug, Clone, Copy)]
pub struct Front<'a> {
    /// What was taken off the client's path; not empty, without a slash at its end.
    pub prefix: &'a str,
    /// What the endpoint's own paths begin with; mostly empty.
    pub base_path: &'a str,
    /// Whom the request was addressed to: by the router, and by the client.
    pub hosts: [Option<&'a [u8]>; 2],
}

/// Makes an answer's redirects and cookies mean to the client what they mean to the backend.
pub fn restore(headers: &mut HeaderMap, front: &Front<'_>) {
    for name in PLACES {
        if let Some(place) = headers.get(&name)
            && let Some(restored) = place.to_str().ok().and_then(|place| front.place(place))
            && let Ok(restored) = HeaderValue::try_from(restored)
        {
            headers.insert(name, restored);
        }
    }
    if let header::Entry::Occupied(mut cookies) = headers.entry(header::SET_COOKIE) {
        for cookie in cookies.iter_mut() {
            // Made of a header's value and a path.
            if let Ok(restored) = HeaderValue::from_bytes(&front.cookie(cookie.as_bytes())) {
                *cookie = restored;
            }
        }
    }
}

impl Front<'_> {
    /// A place as the client has to name it; `None` if it is right as it is, or not the backend's.
    fn place(&self, place: &str) -> Option<String> {
        let path = match authority(place) {
            None => place,
            Some((host, path)) => {
                let is_ours = self
                    .hosts
                    .into_iter()
                    .flatten()
                    .any(|ours| ours.eq_ignore_ascii_case(host.as_bytes()));
                match (is_ours, path) {
                    (false, _) => return None,
                    (true, "") => "/",
                    (true, path) => path,
                }
            }
        };
        if path.starts_with(['?', '#']) {
            return None;
        }
        Some(format!("{}{}", self.prefix, self.below_base(path)?))
    }

    /// A cookie that comes back for this tenant's paths only. Without a path, a browser would take
    /// it from the request's, which may be one segment only.
    fn cookie(&self, cookie: &[u8]) -> Vec<u8> {
        let mut attributes = cookie.split(|byte| *byte == b';');
        let mut restored = attributes.next().unwrap_or_default().to_vec();
        let mut path: &[u8] = b"/";
        for attribute in attributes {
            let mut halves = attribute
                .splitn(2, |byte| *byte == b'=')
                .map(<[u8]>::trim_ascii);
            if halves
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case(b"path"))
            {
                // Of several, browsers take the last.
                path = halves
                    .next()
                    .filter(|p| p.starts_with(b"/"))
                    .unwrap_or(b"/");
            } else {
                restored.push(b';');
                restored.extend_from_slice(attribute);
            }
        }
        let below = path.strip_prefix(self.base_path.as_bytes());
        let path = below
            .filter(|below| below.starts_with(b"/"))
            .unwrap_or(path);
        for part in [b"; Path=", self.prefix.as_bytes(), path] {
            restored.extend_from_slice(part);
        }
        restored
    }

    /// An absolute path without the endpoint's base; `None` for one outside of it, or relative.
    fn below_base<'p>(&self, path: &'p str) -> Option<&'p str> {
        let below = path.strip_prefix(self.base_path)?;
        below.starts_with('/').then_some(below)
    }
}

/// The authority of an absolute reference, and what follows it.
fn authority(place: &str) -> Option<(&str, &str)> {
    let scheme = ["http:", "https:", ""].into_iter().find(|scheme| {
        place
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })?;
    let rest = place[scheme.len()..].strip_prefix("//")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some(rest.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRONT: Front<'_> = Front {
        prefix: "/t/acme",
        base_path: "",
        hosts: [Some(b"10.0.0.1:8428"), Some(b"obs.example.com")],
    };

    fn place(front: Front<'_>, place: &'static str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_static(place));
        restore(&mut headers, &front);
        headers[header::LOCATION].to_str().expect("text").to_owned()
    }

    #[test]
    fn redirects_of_the_backend_lead_below_the_prefix() {
        for (told, meant) in [
            ("/vmui/", "/t/acme/vmui/"),
            ("/vmui/?a=/b#/c", "/t/acme/vmui/?a=/b#/c"),
            ("/", "/t/acme/"),
            ("http://10.0.0.1:8428/vmui/", "/t/acme/vmui/"),
            ("HTTP://10.0.0.1:8428", "/t/acme/"),
            ("//10.0.0.1:8428/vmui/", "/t/acme/vmui/"),
            ("https://OBS.example.com/vmui/", "/t/acme/vmui/"),
        ] {
            assert_eq!(place(FRONT, told), meant, "{told}");
        }
    }

    #[test]
    fn relative_and_foreign_places_stay_as_they_are() {
        for told in [
            "vmui/?x=1",
            "../vmui/",
            "?x=1",
            "https://login.example.com/vmui/",
            "//login.example.com/",
            "http://10.0.0.1:84280/vmui/",
            "mailto:sre@example.com",
            "",
        ] {
            assert_eq!(place(FRONT, told), told);
        }
    }

    #[test]
    fn an_endpoints_base_path_is_not_the_clients() {
        let front = Front {
            base_path: "/select/0",
            ..FRONT
        };
        assert_eq!(place(front, "/select/0/vmui/"), "/t/acme/vmui/");
        assert_eq!(place(front, "/select/01/vmui/"), "/select/01/vmui/");
        assert_eq!(place(front, "/elsewhere"), "/elsewhere");
    }

    #[test]
    fn cookies_stay_with_their_tenant() {
        let base = Front {
            base_path: "/base",
            ..FRONT
        };
        for (front, set, kept) in [
            (FRONT, "a=1", "a=1; Path=/t/acme/"),
            (FRONT, "a=1; Path=/", "a=1; Path=/t/acme/"),
            (
                FRONT,
                "a=1; path = /vmui ;Secure; HttpOnly",
                "a=1;Secure; HttpOnly; Path=/t/acme/vmui",
            ),
            (FRONT, "a=1; Path=x; Secure", "a=1; Secure; Path=/t/acme/"),
            (FRONT, "a=1; Path=/a; Path=/b", "a=1; Path=/t/acme/b"),
            (FRONT, "a=1; Path=/t/globex", "a=1; Path=/t/acme/t/globex"),
            (base, "a=1; Path=/base/x", "a=1; Path=/t/acme/x"),
            (base, "a=1; Path=/", "a=1; Path=/t/acme/"),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(header::SET_COOKIE, HeaderValue::from_static("first=1"));
            headers.append(header::SET_COOKIE, HeaderValue::from_static(set));
            restore(&mut headers, &front);
            let cookies: Vec<_> = headers.get_all(header::SET_COOKIE).iter().collect();
            assert_eq!(cookies, ["first=1; Path=/t/acme/", kept], "{set}");
        }
    }
}
