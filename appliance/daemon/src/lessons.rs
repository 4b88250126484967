//! What lessons follow of the settings, and what follows the end of a lesson.

use std::sync::Arc;

use belfry_identity::Identity;
use belfry_model::LessonId;
use belfry_settings::{LessonPolicy, Settings};
use tokio::sync::{mpsc, watch};

/// Ended lessons whose guests wait to be signed out; should more end at once, the sweep does it.
const ENDED_MAX: usize = 1_024;

/// What the settings say about lessons, at any time.
pub(crate) fn policy(
    mut settings: watch::Receiver<Arc<Settings>>,
) -> watch::Receiver<Arc<LessonPolicy>> {
    let now = |settings: &watch::Receiver<Arc<Settings>>| LessonPolicy::from(&**settings.borrow());
    let (told, followed) = watch::channel(Arc::new(now(&settings)));
    tokio::spawn(async move {
        while settings.changed().await.is_ok() {
            let policy = now(&settings);
            told.send_if_modified(|before| {
                let changed = **before != policy;
                *before = Arc::new(policy);
                changed
            });
        }
    });
    followed
}

/// Signs guests out whose lesson has ended.
pub(crate) fn end_guests(identity: Identity) -> mpsc::Sender<LessonId> {
    let (ended, mut lessons) = mpsc::channel(ENDED_MAX);
    tokio::spawn(async move {
        while let Some(lesson) = lessons.recv().await {
            match identity.end_guests(lesson).await {
                Ok(count) => tracing::info!(%lesson, count, "guests are signed out"),
                Err(error) => tracing::warn!(%lesson, %error, "guests could not be signed out"),
            }
        }
    });
    ended
}

#[cfg(test)]
mod tests {
    use super::{Arc, Settings, policy, watch};

    #[tokio::test]
    async fn lessons_follow_the_settings_that_are_saved() {
        let settings = watch::Sender::new(Arc::new(Settings::default()));
        let mut followed = policy(settings.subscribe());
        assert!(!followed.borrow_and_update().guest_links);
        let mut changed = Settings::default();
        changed.set("lesson.guest_links", "true").unwrap();
        settings.send_replace(Arc::new(changed.clone()));
        followed.changed().await.unwrap();
        assert!(followed.borrow_and_update().guest_links);
        // Another setting is none of the lessons' business.
        changed.set("school.name", "Elm Street").unwrap();
        settings.send_replace(Arc::new(changed.clone()));
        changed.set("lesson.at_once_max", "7").unwrap();
        settings.send_replace(Arc::new(changed));
        followed.changed().await.unwrap();
        assert_eq!(followed.borrow().lessons_max, 7);
    }
}
