//! Opening, idling, closing, and what is refused on the way.

use crate::broker::Broker;
use crate::broker::await_ready;
use crate::broker::expect_error;
use crate::broker::get;
use crate::broker::open;
use crate::broker::publish;
use crate::broker::queue;
use lapin::Connection;
use lapin::ConnectionProperties;
use lapin::options::QueueDeclareOptions;
use lapin::options::QueueDeleteOptions;
use lapin::options::QueuePurgeOptions;
use lapin::types::FieldTable;
use leveret_compat_tests::assertions::Checked;
use leveret_compat_tests::assertions::equal;
use leveret_compat_tests::assertions::holds;
use leveret_compat_tests::assertions::within;
use std::time::Duration;

/// lapin keeps the server's properties to itself: the negotiated limits are what it shows.
pub(crate) async fn connect(broker: &Broker) -> Checked {
    let connection = open(&broker.url).await?;
    holds(connection.status().connected(), "not connected")?;
    equal(
        &broker.vhost[..],
        connection.status().vhost().as_str(),
        "vhost",
    )?;
    equal(131_072, connection.configuration().frame_max(), "frame_max")?;
    equal(
        2047,
        connection.configuration().channel_max(),
        "channel_max",
    )?;
    within("close", connection.close(200, "done".into())).await??;
    Ok(())
}

pub(crate) async fn login_refused(broker: &Broker) -> Checked {
    let (_, address) = broker
        .url
        .split_once('@')
        .ok_or("LEVERET_URL has no user")?;
    let url = format!("amqp://guest:not%20the%20password@{address}");
    let outcome = Connection::connect(&url, ConnectionProperties::default());
    expect_error(
        within("a refused login", outcome).await?,
        403,
        "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. \
         For details see the broker logfile.",
    )
}

pub(crate) async fn declare(broker: &Broker) -> Checked {
    let name = broker.name("declare");
    let channel = broker.channel().await?;
    let durable = QueueDeclareOptions::durable();
    let created = channel
        .queue_declare(name.as_str().into(), durable, FieldTable::default())
        .await?;
    equal(&name[..], created.name().as_str(), "name")?;
    equal(
        (0, 0),
        (created.message_count(), created.consumer_count()),
        "counts",
    )?;
    for body in ["one", "two", "three"] {
        publish(&channel, "", &name, body).await?;
    }
    await_ready(&channel, &name, 3).await?;
    let server_named = queue(&channel).await?;
    holds(
        server_named.starts_with("amq.gen-"),
        format!("a queue called {server_named}"),
    )?;
    expect_error(
        channel
            .queue_declare(
                name.as_str().into(),
                QueueDeclareOptions::default(),
                FieldTable::default(),
            )
            .await,
        406,
        &format!(
            "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{name}' in vhost '{}': \
             received 'false' but current is 'true'",
            broker.vhost
        ),
    )?;
    let channel = broker.channel().await?;
    let purged = channel.queue_purge(name.as_str().into(), QueuePurgeOptions::default());
    equal(3, within("queue.purge", purged).await??, "purged")?;
    let unused = QueueDeleteOptions {
        if_unused: true,
        if_empty: true,
        nowait: false,
    };
    let deleted = channel.queue_delete(name.as_str().into(), unused);
    equal(0, within("queue.delete", deleted).await??, "deleted")
}

pub(crate) async fn channel_error(broker: &Broker) -> Checked {
    let missing = broker.name("missing");
    let channel = broker.channel().await?;
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    expect_error(
        channel
            .queue_declare(missing.as_str().into(), passive, FieldTable::default())
            .await,
        404,
        &format!(
            "NOT_FOUND - no queue '{missing}' in vhost '{}'",
            broker.vhost
        ),
    )?;
    holds(!channel.status().connected(), "the channel is still open")?;
    holds(
        broker.connection.status().connected(),
        "the connection closed too",
    )?;
    queue(&broker.channel().await?).await?;
    Ok(())
}

pub(crate) async fn heartbeat_idle(broker: &Broker) -> Checked {
    let connection = open(&format!("{}?heartbeat=1", broker.url)).await?;
    equal(1, connection.configuration().heartbeat(), "heartbeat")?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    holds(connection.status().connected(), "closed while idle")?;
    let channel = within("channel.open", connection.create_channel()).await??;
    let name = queue(&channel).await?;
    publish(&channel, "", &name, "still here").await?;
    let got = get(&channel, &name, true)
        .await?
        .ok_or("the queue is empty")?;
    equal(&b"still here"[..], &got.data[..], "body")?;
    within("close", connection.close(200, "done".into())).await??;
    Ok(())
}

pub(crate) async fn close(broker: &Broker) -> Checked {
    let connection = open(&broker.url).await?;
    let channel = within("channel.open", connection.create_channel()).await??;
    let name = queue(&channel).await?;
    within("channel.close", channel.close(200, "done".into())).await??;
    holds(
        connection.status().connected(),
        "the connection closed with the channel",
    )?;
    within("connection.close", connection.close(200, "done".into())).await??;
    holds(connection.status().closed(), "the connection is still open")?;
    // Exclusive queues go before close-ok is sent: nobody may find it now.
    let channel = broker.channel().await?;
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    expect_error(
        channel
            .queue_declare(name.as_str().into(), passive, FieldTable::default())
            .await,
        404,
        &format!("NOT_FOUND - no queue '{name}' in vhost '{}'", broker.vhost),
    )?;
    within(
        "connection.close",
        broker.connection.close(200, "done".into()),
    )
    .await??;
    Ok(())
}
