//! References to the arguments of native functions.

#![expect(unsafe_code, reason = "safe code cannot replace a reference by one to a part of the same value")]

use std::any::Any;

use rhai::Dynamic;

/// Replaces the first argument by a reference to a part of its value, if the value has the type and the part.
///
/// A shared value stays, because it can be borrowed only for a time. Every process may call this function.
pub(crate) fn narrow_first<T: Any + Clone>(
    arguments: &mut [&mut Dynamic],
    part: impl FnOnce(&mut T) -> Option<&mut Dynamic>,
) {
    let Some(argument) = arguments.first_mut().filter(|argument| !argument.is_shared()) else { return };
    let part = argument.write_lock::<T>().and_then(|mut value| part(&mut value).map(std::ptr::from_mut));
    if let Some(part) = part {
        // SAFETY: the part belongs to the value, which `argument` borrows exclusively for its whole lifetime: a value
        // that is not shared has no lock that ends earlier. The only reference to the value is overwritten here.
        *argument = unsafe { &mut *part };
    }
}

#[cfg(test)]
mod tests {
    use rhai::Array;

    use super::*;

    #[test]
    fn argument_narrows_to_part_of_its_value() {
        let mut list = Dynamic::from_array(vec![1.into(), 2.into()]);
        let mut arguments = [&mut list];
        narrow_first(&mut arguments, |array: &mut Array| array.last_mut());
        *arguments[0] = 7.into();
        assert_eq!(list.to_string(), "[1, 7]");
    }

    #[test]
    fn argument_stays_without_the_part() {
        for value in [Dynamic::from_array(Array::new()), 5.into(), Dynamic::from_array(vec![1.into()]).into_shared()] {
            let text = value.to_string();
            let mut narrowed = value;
            let mut arguments = [&mut narrowed];
            narrow_first(&mut arguments, |array: &mut Array| array.first_mut());
            assert_eq!(arguments[0].to_string(), text);
        }
    }
}
